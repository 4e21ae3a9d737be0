package native

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// fakeTransport is a transport in memory.
type fakeTransport struct {
	mu      sync.Mutex
	session *session
	frames  []wire.Message
	pings   int
	answers bool // pings
	dead    bool
	closed  bool
	tries   int
}

func (l *fakeTransport) AnswersPings() bool { return true }

func (l *fakeTransport) Write(frame []byte, _ time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return errors.New("dead")
	}
	var m wire.Message
	if err := json.Unmarshal(frame, &m); err != nil {
		panic(err)
	}
	l.frames = append(l.frames, m)
	return nil
}

// TryWrite is busy every other time.
func (l *fakeTransport) TryWrite(frame []byte) (done bool, err error) {
	l.mu.Lock()
	l.tries++
	busy := l.tries%2 == 0
	l.mu.Unlock()
	if busy {
		return false, nil
	}
	return true, l.Write(frame, time.Time{})
}

func (l *fakeTransport) TryPing() (done bool, err error) { return true, l.Ping(time.Time{}) }

func (l *fakeTransport) Ping(time.Time) error {
	l.mu.Lock()
	l.pings++
	answers := l.answers
	l.mu.Unlock()
	if answers {
		l.session.markAlive()
	}
	return nil
}

func (l *fakeTransport) Close(signal.Reason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

func (l *fakeTransport) Abort() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
}

// got returns the types of the frames, the kinds of messages from others, and the reasons of goodbyes.
func (l *fakeTransport) got() (all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.frames {
		all = append(all, m.Type+m.Kind+m.Reason)
	}
	return all
}

func (l *fakeTransport) wants(t *testing.T, dead bool, frames ...string) {
	t.Helper()
	synctest.Wait()
	got := l.got()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(got, frames) || l.dead != dead {
		t.Errorf("dead %v, got %q, want %v, %q", l.dead, got, dead, frames)
	}
}

func (l *fakeTransport) pinged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pings
}

// runBubble is a hub in its own time.
func runBubble(t *testing.T, f func(h *Handler)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub, err := signal.New(signal.Options{}, signal.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		h, err := New(Options{Hub: hub})
		if err != nil {
			t.Fatal(err)
		}
		f(h)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := hub.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := testutil.ToFloat64(h.metrics.detached); n != 0 {
			t.Errorf("%v sessions are still detached", n)
		}
	})
}

func (h *Handler) mustSignIn(t *testing.T, name string, answers bool) (*session, *fakeTransport) {
	t.Helper()
	n, err := h.connectClient(t.Context(), signal.Visitor{}, &wire.Request{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	s := n.session
	welcome, err := h.signInSession(t.Context(), n, func() {})
	if err != nil {
		t.Fatal(err)
	}
	l := &fakeTransport{session: s, answers: answers}
	if err := s.attach(l, 0, func() *wire.Message { return welcome }); err != nil {
		t.Fatal(err)
	}
	s.markConfirmed()
	return s, l
}

func sleep(d time.Duration) { <-time.After(d) }

func (s *session) note(to string) {
	s.handleMessage(nil, wire.Request{Type: wire.Send, To: to, Kind: "x", Data: []byte("1")}.Encode())
}

func TestQuietTransportIsProbedWhenWrittenTo(t *testing.T) {
	runBubble(t, func(h *Handler) {
		al, quietLine := h.mustSignIn(t, "al", false)
		bo, _ := h.mustSignIn(t, "bo", true)
		bo.note("al")
		synctest.Wait()
		if quietLine.pinged() != 0 {
			t.Error("probed although it has just been heard")
		}
		sleep(quietTime)
		bo.note("al")
		bo.note("al")
		quietLine.wants(t, false, "welcome", "messagex", "messagex", "messagex")
		if quietLine.pinged() != 1 {
			t.Errorf("%d pings", quietLine.pinged())
		}
		sleep(probeWait + time.Millisecond)
		quietLine.wants(t, true, "welcome", "messagex", "messagex", "messagex")
		again := &fakeTransport{session: al, answers: true}
		if _, err := h.resume(again, al.client.Token(), 1); err != nil {
			t.Fatal(err)
		}
		again.wants(t, false, "resumed", "messagex", "messagex")
		sleep(time.Hour) // it answers, so it stays
		again.wants(t, false, "resumed", "messagex", "messagex")
	})
}

func TestSilentTransportIsGivenUpAndThenItsSession(t *testing.T) {
	runBubble(t, func(h *Handler) {
		_, silent := h.mustSignIn(t, "al", false)
		bo, line := h.mustSignIn(t, "bo", true)
		sleep(time.Second)
		bo.note("al")
		sleep(20 * time.Second) // a ping each 10 s, 5 s to answer
		silent.wants(t, true, "welcome", "messagex")
		line.wants(t, false, "welcome")
		if err := bo.client.SignIn("al"); !errors.Is(err, signal.ErrNameTaken) {
			t.Errorf("the name is free while the session may be resumed: %v", err)
		}
		sleep(31 * time.Second)
		line.wants(t, false, "welcome", "gone")
		if err := bo.client.SignIn("al"); err != nil {
			t.Errorf("the name isn't free: %v", err)
		}
	})
}

func TestTooMuchForADetachedSession(t *testing.T) {
	runBubble(t, func(h *Handler) {
		al, l := h.mustSignIn(t, "al", true)
		bo, line := h.mustSignIn(t, "bo", true)
		al.detach(l)
		for range signal.DefaultLimits().ResumeMessages {
			sleep(time.Millisecond)
			bo.note("al")
		}
		synctest.Wait()
		if _, err := h.checkResume(&wire.Request{Resume: al.client.Token()}); err != nil {
			t.Errorf("the session is over too early: %v", err)
		}
		bo.note("al")
		line.wants(t, false, "welcome", "gone")
		if _, err := h.resume(&otherTransport{}, al.client.Token(), 0); err != signal.ErrResync {
			t.Errorf("resumed: %v", err)
		}
	})
}

// otherTransport is a line that nobody reads.
type otherTransport struct{ fakeTransport }

func TestSlowTransportHoldsNobodyUp(t *testing.T) {
	runBubble(t, func(h *Handler) {
		al, l := h.mustSignIn(t, "al", true)
		al.writeMu.Lock() // as a write that hangs does
		second := &fakeTransport{session: al, answers: true}
		resumed := make(chan struct{})
		go func() {
			defer close(resumed)
			_, _ = h.resume(second, al.client.Token(), 0)
		}()
		sleep(byeWait + time.Millisecond)
		l.wants(t, true, "welcome")
		al.writeMu.Unlock()
		<-resumed
		second.wants(t, false, "resumed")
	})
}
