package native_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"icebox/signal/client"
	"icebox/signal/protocol/native/wire"
)

// crowdSize is how many clients are connected at the same time. Each takes two file descriptors, because its server runs
// in the same process.
const crowdSize = 5000

// TestThousandsOfClients has thousands of clients sign in and call each other. Some lose their connections, and some hang
// up while others only disconnect. All calls work, and start's cleanup and goleak find nothing left over.
func TestThousandsOfClients(t *testing.T) {
	size := crowdSize
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if room := int(min(limit.Cur, 1<<20))/2 - 200; room < size {
		t.Logf("the limit on file descriptors allows only %d of %d clients", room, size)
		size = room
	}
	// On a busy machine and with the race detector, reconnecting can take minutes.
	s := start(t, func(o *setup) { o.limits.ResumeWithin = 10 * time.Minute })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var crowd sync.WaitGroup
	problems := make(chan error, size)
	together := newBarrier(size / 2)
	signInSlots := make(chan struct{}, 64) // at most 64 pairs sign in at once, or the listener's backlog overflows
	for i := range size / 2 {
		crowd.Go(func() {
			if err := s.runClient(ctx, i, signInSlots, together); err != nil {
				problems <- fmt.Errorf("pair %d: %w", i, err)
			}
		})
	}
	crowd.Wait()
	close(problems)
	shown := 0
	for err := range problems {
		if shown++; shown <= 5 {
			t.Error(err)
		}
	}
	if shown > 0 {
		t.Errorf("%d of %d pairs failed", shown, size/2)
	}
}

// barrier closes all when wait has been called n times. wait itself does not block.
type barrier struct {
	mu   sync.Mutex
	left int
	all  chan struct{}
}

func newBarrier(n int) *barrier { return &barrier{left: n, all: make(chan struct{})} }

func (b *barrier) wait() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left--; b.left == 0 {
		close(b.all)
	}
}

// runClient runs a pair of clients: al creates a call and sends messages before bo joins, bo answers, and the call ends.
// One pair in four loses its connections in between.
func (s *server) runClient(ctx context.Context, i int, signInSlots chan struct{}, together *barrier) error {
	conns := &trackedConns{dial: direct}
	signInSlots <- struct{}{}
	al, err := s.join(ctx, fmt.Sprintf("al%d", i), conns)
	var bo *client.Client
	if err == nil {
		bo, err = s.join(ctx, fmt.Sprintf("bo%d", i), conns)
	}
	<-signInSlots
	together.wait()
	if err != nil {
		return err
	}
	defer al.Close()
	defer bo.Close()
	select {
	case <-together.all: // all clients are connected at the same time
	case <-ctx.Done():
		return ctx.Err()
	}
	made, err := al.Do(ctx, wire.Request{Type: wire.Create})
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	for n := range 4 {
		if err := say(al, made.Call, n); err != nil {
			return fmt.Errorf("send before bo has joined: %w", err)
		}
	}
	if rand.IntN(4) == 0 {
		conns.cutAll()
	}
	if _, err := al.Do(ctx, wire.Request{Type: wire.Unwatch}); err != nil { // the server has handled all messages before this one
		return fmt.Errorf("sync: %w", err)
	}
	if _, err := bo.Do(ctx, wire.Request{Type: wire.Join, Call: made.Call}); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if err := hearAll(ctx, bo, 4); err != nil {
		return fmt.Errorf("receive the kept messages: %w", err)
	}
	for n := range 4 {
		if err := say(bo, made.Call, n); err != nil {
			return fmt.Errorf("send as bo: %w", err)
		}
	}
	if err := hearAll(ctx, al, 4); err != nil {
		return fmt.Errorf("receive bo's messages: %w", err)
	}
	if i%2 == 0 {
		_, err = bo.Do(ctx, wire.Request{Type: wire.Hangup, Call: made.Call})
	}
	return err
}

func (s *server) join(ctx context.Context, name string, conns *trackedConns) (*client.Client, error) {
	o := client.Options{URL: s.url, Name: name, Dialer: conns.dialer(), PingEvery: time.Minute}
	return client.Dial(ctx, o)
}

func say(c *client.Client, call string, n int) error {
	return c.Send(wire.Request{Type: wire.Send, Call: call, Kind: "candidate", Data: json.RawMessage(fmt.Sprint(n))})
}

// hearAll receives n messages, which must be the numbers from 0 in order.
func hearAll(ctx context.Context, c *client.Client, n int) error {
	for i := range n {
		m, err := c.Wait(ctx, wire.Delivery)
		if err != nil || string(m.Data) != fmt.Sprint(i) {
			return fmt.Errorf("got %s, want %d: %w", m.Data, i, err)
		}
	}
	return nil
}
