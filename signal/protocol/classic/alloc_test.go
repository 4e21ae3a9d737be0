package classic

import (
	"log/slog"
	"testing"
	"time"

	"icebox/signal"
	"icebox/signal/signaltest"
)

// sink is a connection that accepts and counts all frames without blocking.
type sink struct{ frames int }

func (s *sink) Write([]byte, time.Time) error { s.frames++; return nil }
func (s *sink) Ping(time.Time) error          { return nil }
func (s *sink) Close(signal.Reason)           {}
func (s *sink) Abort()                        {}
func (s *sink) TryWrite([]byte) (bool, error) { s.frames++; return true, nil }
func (s *sink) TryPing() (bool, error)        { return true, nil }

// Forwarding a candidate allocates nothing, from the bytes of the message to those of the frame.
func TestCandidateAllocatesNothing(t *testing.T) {
	l := signal.DefaultLimits()
	fast(nil, &l)
	hub := signaltest.Hub(t, signal.Options{}, l)
	h := New(hub, nil, slog.New(slog.DiscardHandler), Options{})
	conns := make(map[string]*sink)
	text := make(map[string]func(string))
	for _, name := range []string{"al", "bo"} {
		conns[name] = new(sink)
		client, err := hub.Connect(conns[name], h.service.Profile, signal.Visitor{})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		session := h.service.NewHandler(client)
		text[name] = func(message string) {
			if slow := session.HandleText([]byte(message)); slow != nil {
				t.Errorf("%s is not handled at once", message)
			}
		}
		text[name](`{"type":"login","name":"` + name + `"}`)
		if client.Name() != name {
			t.Fatalf("signed in as %q, want %q", client.Name(), name)
		}
		if name == "bo" {
			message := []byte(`{"type":"candidate","candidate":` + candidate + `,"name":"al"}`)
			text["bo"](`{"type":"offer","offer":{},"name":"al"}`)
			before := conns["al"].frames
			const runs = 200
			if n := testing.AllocsPerRun(runs, func() { session.HandleText(message) }); n > 0 {
				t.Errorf("a candidate costs %v allocations", n)
			}
			if got := conns["al"].frames - before; got != runs+1 { // AllocsPerRun adds a run to warm up
				t.Errorf("%d frames for %d candidates", got, runs+1)
			}
		}
	}
}
