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

// crowdSize is how many clients come and go at the same time; each has two file descriptors here.
const crowdSize = 5000

// TestCrowdComesAndGoes: thousands of clients sign in, call each other, lose connections, leave or just go, and
// nothing of them is left.
func TestCrowdComesAndGoes(t *testing.T) {
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
		t.Logf("only %d of %d clients, for want of file descriptors", room, size)
		size = room
	}
	// On a busy machine, with the race detector, coming back takes its time.
	s := start(t, func(o *setup) { o.limits.ResumeWithin = 10 * time.Minute })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var crowd sync.WaitGroup
	problems := make(chan error, size)
	together := newBarrier(size / 2)
	door := make(chan struct{}, 64) // as many sign in at once, or the machine's backlog is full
	for i := range size / 2 {
		crowd.Go(func() {
			if err := s.runClient(ctx, i, door, together); err != nil {
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

// barrier lets everybody go when all have come.
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

// runClient is what two clients do: a call by ID with a late joiner, an exchange, perhaps lost connections, and the end.
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
	case <-together.all: // so that all are there at the same time
	case <-ctx.Done():
		return ctx.Err()
	}
	made, err := al.Do(ctx, wire.Request{Type: wire.Create})
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	for n := range 4 {
		if err := say(al, made.Call, n); err != nil {
			return fmt.Errorf("keep: %w", err)
		}
	}
	if rand.IntN(4) == 0 {
		conns.cutAll()
	}
	if _, err := al.Do(ctx, wire.Request{Type: wire.Unwatch}); err != nil { // everything before has been read
		return fmt.Errorf("wait: %w", err)
	}
	if _, err := bo.Do(ctx, wire.Request{Type: wire.Join, Call: made.Call}); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if err := hearAll(ctx, bo, 4); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	for n := range 4 {
		if err := say(bo, made.Call, n); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	if err := hearAll(ctx, al, 4); err != nil {
		return fmt.Errorf("answers: %w", err)
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

// hearAll wants the numbers up to n, in order.
func hearAll(ctx context.Context, c *client.Client, n int) error {
	for i := range n {
		m, err := c.Wait(ctx, wire.Delivery)
		if err != nil || string(m.Data) != fmt.Sprint(i) {
			return fmt.Errorf("got %s, want %d: %w", m.Data, i, err)
		}
	}
	return nil
}
