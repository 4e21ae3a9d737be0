package native_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/signal/client"
	"icebox/signal/protocol/native/wire"
)

// crowdPairs is the number of pairs of clients that are connected at the same time.
//
// A few hundred are enough to show races between clients, lost messages, and goroutines or memory that the server keeps for
// a client that has left, because the server keeps each client and each call apart from the others. Thousands of clients
// would add little but processor time, above all with the race detector; iceload measures a server with thousands. The
// clients use real sockets and not net.Pipe under testing/synctest, because a socket loses messages that have been written and
// not yet read when it is cut. A write to a net.Pipe returns only when the other side has read.
const crowdPairs = 200

// TestHundredsOfClients has hundreds of clients sign in, call each other in pairs, lose connections and resume, and leave
// with or without hanging up. No message is lost, and the server keeps nothing for clients that have left.
func TestHundredsOfClients(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := start(t, func(o *setup) {
		o.hub.Registerer, o.native.Registerer = reg, reg
		o.limits.ResumeWithin = 10 * time.Minute // longer than the test, so that no session ends before its client resumes it
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var crowd sync.WaitGroup
	together := newBarrier(crowdPairs)
	for i := range crowdPairs {
		crowd.Go(func() {
			if err := s.runPair(ctx, i, together); err != nil {
				t.Errorf("pair %d: %v", i, err)
			}
		})
	}
	crowd.Wait()
	awaitAtMost(ctx, t, reg, map[string]float64{
		"icebox_signal_clients":           0,
		"icebox_signal_signed_in":         0,
		"icebox_signal_sessions_detached": 0,
		"icebox_signal_waiting_bytes":     0,
		"icebox_signal_calls_kept_bytes":  0,
		"icebox_signal_calls":             crowdPairs / 2, // calls without a hangup last for call.EmptyWait
	})
}

// awaitAtMost waits until no gauge is above its limit.
func awaitAtMost(ctx context.Context, t *testing.T, reg prometheus.Gatherer, limits map[string]float64) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		found, above := 0, []string(nil)
		for _, f := range families {
			limit, ok := limits[f.GetName()]
			if !ok {
				continue
			}
			found++
			if v := f.GetMetric()[0].GetGauge().GetValue(); v > limit {
				above = append(above, fmt.Sprintf("%s is %v, want at most %v", f.GetName(), v, limit))
			}
		}
		if found != len(limits) {
			t.Fatalf("the server has %d of the %d gauges", found, len(limits))
		}
		if above == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("clients have left, but %q", above)
		}
	}
}

// barrier is open once a number of goroutines have reached it.
type barrier struct {
	mu   sync.Mutex
	left int
	all  chan struct{} // closed when the barrier opens
}

func newBarrier(n int) *barrier { return &barrier{left: n, all: make(chan struct{})} }

// reach counts one more goroutine.
func (b *barrier) reach() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left--; b.left == 0 {
		close(b.all)
	}
}

// runPair runs a pair of clients, which sign in and wait for all other pairs. al makes a call and sends four messages
// before bo joins, and bo answers with four. One pair in two loses its connections after each four messages. One pair in
// two hangs up.
func (s *server) runPair(ctx context.Context, i int, together *barrier) error {
	conns := &trackedConns{dial: direct}
	al, err := s.join(ctx, fmt.Sprintf("al%d", i), conns)
	var bo *client.Client
	if err == nil {
		defer al.Close()
		bo, err = s.join(ctx, fmt.Sprintf("bo%d", i), conns)
	}
	together.reach() // also after an error, because the other pairs wait
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	defer bo.Close()
	select {
	case <-together.all:
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
	cut := i%4 >= 2
	if cut {
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
	if cut {
		conns.cutAll()
	}
	if err := hearAll(ctx, al, 4); err != nil {
		return fmt.Errorf("receive bo's messages: %w", err)
	}
	if i%2 == 0 {
		if _, err := bo.Do(ctx, wire.Request{Type: wire.Hangup, Call: made.Call}); err != nil {
			return fmt.Errorf("hang up: %w", err)
		}
	}
	for _, c := range []*client.Client{al, bo} { // Close says goodbye only on a connection
		if _, err := c.Do(ctx, wire.Request{Type: wire.Unwatch}); err != nil {
			return fmt.Errorf("resume: %w", err)
		}
	}
	return nil
}

func (s *server) join(ctx context.Context, name string, conns *trackedConns) (*client.Client, error) {
	return client.Dial(ctx, client.Options{
		URL: s.url, Name: name, Dialer: conns.dialer(), PingEvery: time.Minute,
		Backoff: func(int) time.Duration { return time.Millisecond },
	})
}

func say(c *client.Client, call string, n int) error {
	return c.Send(wire.Request{Type: wire.Send, Call: call, Kind: "candidate", Data: json.RawMessage(fmt.Sprint(n))})
}

// hearAll receives n messages, which must be the numbers from 0 in order.
func hearAll(ctx context.Context, c *client.Client, n int) error {
	for i := range n {
		m, err := c.Wait(ctx, wire.Delivery)
		if err != nil {
			return err
		}
		if string(m.Data) != fmt.Sprint(i) {
			return fmt.Errorf("got %s, want %d", m.Data, i)
		}
	}
	return nil
}
