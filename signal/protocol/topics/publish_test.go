package topics

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"icebox/signal"
	"icebox/signal/signaltest"
)

// fakeConn is a connection that accepts and counts all frames.
type fakeConn struct{ frames int }

func (s *fakeConn) Write([]byte, time.Time) error { s.frames++; return nil }
func (s *fakeConn) Ping(time.Time) error          { return nil }
func (s *fakeConn) Close(signal.Reason)           {}
func (s *fakeConn) Abort()                        {}

// newSubscribers returns a Handler and n members that are subscribed to the topic "t".
func newSubscribers(t testing.TB, n int, change func(*signal.Limits)) (*Handler, []*Member) {
	t.Helper()
	hub := signaltest.Hub(t, signal.Options{PingEvery: time.Hour}, signaltest.Limits(change))
	h, err := New(Dialect{Protocol: "test"}, Options{Hub: hub})
	if err != nil {
		t.Fatal(err)
	}
	members := make([]*Member, n)
	for i := range members {
		c, err := hub.Connect(&fakeConn{}, signal.Profile{Protocol: "test"}, signal.Visitor{})
		if err != nil {
			t.Fatal(err)
		}
		members[i] = &Member{handler: h, client: c}
		if err := members[i].Subscribe("t"); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, m := range members {
			m.unsubscribeAll()
			m.client.Close()
		}
	})
	return h, members
}

// The bytes that a publication causes to be written count against its sender's rate. The sender waits after the subscribers
// have been sent the frame.
func TestPublicationCountsAgainstRate(t *testing.T) {
	for name, c := range map[string]struct {
		subscribers, size int
		want              time.Duration // at one message a second and a burst of ten
		slow              bool
	}{
		"small, to few":  {5, 1 << 10, 0, false},
		"small, to many": {64, 1 << 10, 0, true},
		"large, to few":  {16, 64<<10 - writeBytes, 6 * time.Second, true},
		"large, to many": {64, 64<<10 - writeBytes, 54 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, members := newSubscribers(t, c.subscribers, func(l *signal.Limits) {
					l.MessagesPerSecond, l.MessageBurst = 1, 10
				})
				begun := time.Now()
				slow := members[0].Publish("t", func(n int) []byte {
					if n != c.subscribers {
						t.Errorf("the frame is made for %d subscribers, want %d", n, c.subscribers)
					}
					return make([]byte, c.size)
				})
				if (slow != nil) != c.slow {
					t.Errorf("slow: %v", slow != nil)
				}
				if slow != nil {
					slow()
				}
				if got := time.Since(begun); got != c.want {
					t.Errorf("waited %v, want %v", got, c.want)
				}
				synctest.Wait()
				for i, m := range members {
					if got := m.client.Conn().(*fakeConn).frames; got != 1 {
						t.Errorf("member %d got %d frames", i, got)
					}
				}
			})
		})
	}
}

// The slice that subscribers returns does not change when clients subscribe and unsubscribe later. Unsubscribing twice
// counts once.
func TestSubscribersAreASnapshot(t *testing.T) {
	h, members := newSubscribers(t, 8, func(*signal.Limits) {})
	snapshot := h.subscriptions.subscribers("t")
	for _, m := range members[:4] {
		m.Unsubscribe("t")
		m.Unsubscribe("t")
	}
	if err := members[0].Subscribe("t"); err != nil {
		t.Fatal(err)
	}
	for i, m := range members {
		if snapshot[i] != m.client {
			t.Errorf("the snapshot has changed at index %d", i)
		}
	}
	now := fmt.Sprint(len(h.subscriptions.subscribers("t")), h.subscriptions.(*memory).total(), h.subscriptions.(*memory).topics.Load())
	if now != "5 5 1" {
		t.Errorf("subscribers, subscriptions and topics are %s, want 5 5 1", now)
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{2, 16, 128} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			_, members := newSubscribers(b, n, func(l *signal.Limits) { l.MessagesPerSecond, l.MessageBurst = 1e9, 1<<30 })
			frame := make([]byte, 300)
			b.ReportAllocs()
			for b.Loop() {
				if slow := members[0].Publish("t", func(int) []byte { return frame }); slow != nil {
					slow()
				}
			}
		})
	}
}
