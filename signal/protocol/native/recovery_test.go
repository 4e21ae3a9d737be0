package native_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"

	"icebox/signal"
	"icebox/signal/client"
	"icebox/signal/protocol/native/wire"
	"icebox/signal/signaltest"
)

// talker is a client that sends numbers to its peer and receives the peer's numbers.
type talker struct {
	*client.Client
	peer   string
	next   int  // the number that it expects next
	gone   bool // the server has reported that the peer's session ended
	errors int  // how many messages the server refused to pass on
}

// speak sends the numbers from 0 to n-1. When the client's backlog is full, it waits until the server has taken it, or
// returns if the session has ended.
func (c *talker) speak(ctx context.Context, n int) {
	for i := range n {
		for {
			err := c.Send(wire.Request{Type: wire.Send, To: c.peer, Kind: "n", Data: json.RawMessage(fmt.Sprint(i))})
			if !errors.Is(err, client.ErrBacklog) || ctx.Err() != nil {
				break
			}
			if _, err := c.Do(ctx, wire.Request{Type: wire.Unwatch}); err != nil && !errors.Is(err, client.ErrBacklog) {
				return
			}
		}
	}
}

// listen receives until it has all n numbers, or has been told that the rest won't come. The numbers must be in order.
func (c *talker) listen(ctx context.Context, n int) error {
	for c.next < n && !c.gone {
		select {
		case m, ok := <-c.Events():
			switch {
			case !ok:
				return nil // c.Err() has the reason why the session ended
			case m.Type == wire.Gone:
				c.gone = true
			case m.Type == wire.Fail:
				c.errors++
			case m.Type == wire.Delivery:
				var got int
				if err := json.Unmarshal(m.Data, &got); err != nil || got != c.next {
					return fmt.Errorf("got %s, want %d", m.Data, c.next)
				}
				c.next++
			}
		case <-ctx.Done():
			return fmt.Errorf("got %d of %d: %w", c.next, n, ctx.Err())
		}
	}
	return nil
}

// TestEveryMessageArrivesOnceAndInOrder breaks connections of both transports at random. Either each side receives every
// number once and in order, or both sides learn that a session has ended or that messages were refused.
func TestEveryMessageArrivesOnceAndInOrder(t *testing.T) {
	const messages = 150
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			network := &badNetwork{rng: rand.New(rand.NewPCG(seed, 1)), least: 2000, most: 9000}
			s := start(t, func(o *setup) {
				o.limits.MessagesPerSecond, o.limits.MessageBurst = 1e6, 1e6
				o.limits.QueueMessages = 8 * messages // large enough that no peer is busy
				if seed%4 == 3 {                      // so few messages are kept that sessions end
					o.limits.ResumeMessages = 8
				}
			})
			bumpy := func(o *client.Options) {
				network.options(o)
				o.Events = seed%3 == 2
			}
			al, bo := retrySignIn(t, s, "al", bumpy), retrySignIn(t, s, "bo", bumpy)
			a, b := &talker{Client: al, peer: "bo"}, &talker{Client: bo, peer: "al"}
			ctx, cancel := context.WithTimeout(t.Context(), signaltest.Patience)
			defer cancel()
			var speaking, listening sync.WaitGroup
			results := make(chan error, 2)
			for _, c := range []*talker{a, b} {
				speaking.Go(func() { c.speak(ctx, messages) })
				listening.Go(func() { results <- c.listen(ctx, messages) })
			}
			listening.Wait()
			cancel()
			for range 2 {
				if err := <-results; err != nil {
					t.Error(err)
				}
			}
			complete := a.next == messages && b.next == messages
			refused := (a.gone || a.Err() != nil || a.errors > 0) && (b.gone || b.Err() != nil || b.errors > 0)
			if !complete && !refused {
				t.Errorf("al got %d (gone %v, %v, %d refused), bo got %d (gone %v, %v, %d refused)",
					a.next, a.gone, a.Err(), a.errors, b.next, b.gone, b.Err(), b.errors)
			}
			if seed%4 != 3 && !complete {
				t.Errorf("a session ended although enough messages are kept: %v, %v", a.Err(), b.Err())
			}
			al.Close()
			bo.Close()
			speaking.Wait()
			t.Logf("%d connections broke; al received %d messages and bo %d", network.lost.Load(), a.next, b.next)
		})
	}
}

// retrySignIn tries to sign in until the client has received a welcome and the server knows that it has.
func retrySignIn(t *testing.T, s *server, name string, o func(*client.Options)) *client.Client {
	t.Helper()
	for range 100 {
		c, err := s.tryDial(name, o)
		if err != nil {
			continue
		}
		if _, err := c.Do(t.Context(), wire.Request{Type: wire.Unwatch}); err == nil {
			return c
		}
	}
	t.Fatalf("%s could not sign in in 100 attempts", name)
	return nil
}

// The users of a client do not notice that it lost its connections and resumed, over WebSockets (events is false) or event
// streams.
func TestLostConnectionsAreNotNoticed(t *testing.T) {
	for _, events := range []bool{false, true} {
		s := start(t)
		network := &badNetwork{rng: rand.New(rand.NewPCG(1, 1)), least: 1 << 30, most: 1<<30 + 1}
		conns := &trackedConns{dial: network.dial}
		al := s.dial("al", func(o *client.Options) {
			o.Dialer = &gorilla.Dialer{NetDialContext: conns.open}
			o.HTTP = &http.Client{Transport: &http.Transport{DialContext: conns.open}}
			o.Events = events
		})
		bo := s.dial("bo")
		ctx, cancel := context.WithTimeout(t.Context(), signaltest.Patience)
		defer cancel()
		made, err := al.Do(ctx, wire.Request{Type: wire.Create})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bo.Do(ctx, wire.Request{Type: wire.Join, Call: made.Call}); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			conns.cutAll()
			note := wire.Request{Type: wire.Send, Call: made.Call, Kind: "n", Data: json.RawMessage(fmt.Sprint(i))}
			if _, err := bo.Do(ctx, note); err != nil {
				t.Fatal(err)
			}
			m, err := al.Wait(ctx, wire.Delivery)
			if err != nil || string(m.Data) != fmt.Sprint(i) {
				t.Fatalf("events %v: got %s and %v, want %d", events, m.Data, err, i)
			}
			if _, err := al.Do(ctx, note); err != nil {
				t.Fatal(err)
			}
			if m, err := bo.Wait(ctx, wire.Delivery); err != nil || string(m.Data) != fmt.Sprint(i) {
				t.Fatalf("events %v: got %s and %v, want %d", events, m.Data, err, i)
			}
		}
		al.Close()
		bo.Close()
	}
}

// A client that stops responding keeps its name until the time to resume has passed. Only then can another client sign in
// under the name.
func TestNameIsKeptUntilTheTimeToResumeHasPassed(t *testing.T) {
	s := start(t, func(o *setup) {
		o.limits.ResumeWithin = 300 * time.Millisecond
		o.hub.ProbeWait = 50 * time.Millisecond
	})
	al := s.raw("/ws") // answers no pings, because the test does not read from it
	al.Send(`{"type":"hello","v":1,"name":"al"}`)
	al.receive()
	al.Send(`{"type":"ping"}`)
	al.receive()
	asked := time.Now()
	for {
		_, err := s.tryDial("al")
		var refused *client.Error
		if err == nil {
			break
		}
		if !errors.As(err, &refused) || refused.Code != signal.ErrNameTaken.Code || time.Since(asked) > signaltest.Patience {
			t.Fatal(err)
		}
	}
	if waited := time.Since(asked); waited < 300*time.Millisecond {
		t.Errorf("the name was free after %v, before the 300 ms to resume had passed", waited)
	}
}

// A client whose connection breaks before it has received its welcome can sign in again at once, because the server does
// not keep a session that the client never used.
func TestUnconfirmedSessionsAreNotKept(t *testing.T) {
	s := start(t)
	al := s.raw("/ws")
	al.Send(`{"type":"hello","v":1,"name":"al"}`)
	al.receive()
	_ = al.NetConn().Close()
	signaltest.Until(t, "the name becomes free", func() bool {
		_, err := s.tryDial("al")
		return err == nil
	})
}

// A message to a client that has stopped reading its connection reaches it when it resumes on another connection.
func TestMessageToStalledConnectionIsSentAgain(t *testing.T) {
	s := start(t)
	al := s.raw("/ws")
	al.Send(`{"type":"hello","v":1,"name":"al"}`)
	secret := al.receive()["resume"].(string)
	al.Send(`{"type":"ping"}`)
	al.receive()
	bo := s.dial("bo")
	if err := bo.Send(wire.Request{Type: wire.Send, To: "al", Kind: "x", Data: json.RawMessage("1")}); err != nil {
		t.Fatal(err)
	}
	again := s.raw("/ws")
	again.Send(`{"type":"hello","v":1,"resume":"` + secret + `"}`)
	if m := again.receive(); m["type"] != wire.Resumed {
		t.Fatal(m)
	}
	if m := again.receive(); m["type"] != wire.Delivery {
		t.Fatal(m)
	}
}
