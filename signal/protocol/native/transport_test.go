package native

import (
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
	"icebox/signal/signaltest"
)

// fakeTransport is a transport that records the messages written to it.
type fakeTransport struct {
	mu      sync.Mutex
	session *session
	frames  []wire.Message
	pings   int  // how many pings were written
	answers bool // the client answers pings
	dead    bool // aborted
	closed  bool
	tries   int // how often TryWrite was called
}

func (f *fakeTransport) AnswersPings() bool { return true }

func (f *fakeTransport) Write(frame []byte, _ time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return errors.New("dead")
	}
	var m wire.Message
	if err := json.Unmarshal(frame, &m); err != nil {
		panic(err)
	}
	f.frames = append(f.frames, m)
	return nil
}

// TryWrite would block every second time.
func (f *fakeTransport) TryWrite(frame []byte) (done bool, err error) {
	f.mu.Lock()
	f.tries++
	busy := f.tries%2 == 0
	f.mu.Unlock()
	if busy {
		return false, nil
	}
	return true, f.Write(frame, time.Time{})
}

func (f *fakeTransport) TryPing() (done bool, err error) { return true, f.Ping(time.Time{}) }

func (f *fakeTransport) Ping(time.Time) error {
	f.mu.Lock()
	f.pings++
	answers := f.answers
	f.mu.Unlock()
	if answers {
		f.session.markAlive()
	}
	return nil
}

func (f *fakeTransport) Close(signal.Reason) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

func (f *fakeTransport) Abort() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
}

// got returns the type of each message written, followed by its kind or reason if it has one.
func (f *fakeTransport) got() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.frames {
		all = append(all, m.Type+m.Kind+m.Reason)
	}
	return all
}

func (f *fakeTransport) wants(t *testing.T, dead bool, frames ...string) {
	t.Helper()
	synctest.Wait()
	got := f.got()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(got, frames) || f.dead != dead {
		t.Errorf("the transport is dead: %v, and has %q; want %v and %q", f.dead, got, dead, frames)
	}
}

func (f *fakeTransport) pinged() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pings
}

// runBubble runs f with a handler in a synctest bubble, so that time passes only when all goroutines wait. Afterwards no
// session may be left.
func runBubble(t *testing.T, f func(h *Handler)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub := signaltest.Hub(t, signal.Options{}, signal.DefaultLimits())
		h, err := New(Options{Hub: hub})
		if err != nil {
			t.Fatal(err)
		}
		f(h)
		signaltest.ShutDown(t, hub)
		synctest.Wait()
		if n := testutil.ToFloat64(h.metrics.detached); n != 0 {
			t.Errorf("the metric counts %v detached sessions after the shutdown, want 0", n)
		}
	})
}

// mustSignIn signs a client in on a fakeTransport. answers is whether the client answers pings.
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

// note sends a message from the session to another client.
func (s *session) note(to string) {
	s.handleMessage(nil, wire.Request{Type: wire.Send, To: to, Kind: "x", Data: []byte("1")}.Encode())
}

// A transport that has been silent for quietTime is probed when something is written to it. If no answer comes, it is given
// up, and the client gets the messages on its next transport.
func TestSilentTransportIsProbedWhenWrittenTo(t *testing.T) {
	runBubble(t, func(h *Handler) {
		al, silent := h.mustSignIn(t, "al", false)
		bo, _ := h.mustSignIn(t, "bo", true)
		bo.note("al")
		synctest.Wait()
		if silent.pinged() != 0 {
			t.Error("the transport was probed although it has just shown a sign of life")
		}
		sleep(quietTime)
		bo.note("al")
		bo.note("al")
		silent.wants(t, false, "welcome", "messagex", "messagex", "messagex")
		if silent.pinged() != 1 {
			t.Errorf("the transport got %d pings, want 1", silent.pinged())
		}
		sleep(probeWait + time.Millisecond)
		silent.wants(t, true, "welcome", "messagex", "messagex", "messagex")
		again := &fakeTransport{session: al, answers: true}
		if _, err := h.resume(again, al.client.Token(), 1); err != nil {
			t.Fatal(err)
		}
		again.wants(t, false, "resumed", "messagex", "messagex")
		sleep(time.Hour) // the new transport answers pings, so it is kept
		again.wants(t, false, "resumed", "messagex", "messagex")
	})
}

// A transport that answers no pings is given up. Its session ends when the time to resume has passed, and only then is the
// name free.
func TestSilentTransportIsGivenUpAndThenItsSession(t *testing.T) {
	runBubble(t, func(h *Handler) {
		_, silent := h.mustSignIn(t, "al", false)
		bo, boTransport := h.mustSignIn(t, "bo", true)
		sleep(time.Second)
		bo.note("al")
		sleep(20 * time.Second) // the hub pings every 10 s and waits 5 s
		silent.wants(t, true, "welcome", "messagex")
		boTransport.wants(t, false, "welcome")
		if err := bo.client.SignIn("al"); !errors.Is(err, signal.ErrNameTaken) {
			t.Errorf("the name is free while the session may be resumed: %v", err)
		}
		sleep(31 * time.Second) // a session may be resumed for 30 s
		boTransport.wants(t, false, "welcome", "gone")
		if err := bo.client.SignIn("al"); err != nil {
			t.Errorf("the name is not free although the session has ended: %v", err)
		}
	})
}

// A session without a transport ends when it would have to keep more messages than the limit.
func TestDetachedSessionOverflows(t *testing.T) {
	runBubble(t, func(h *Handler) {
		al, l := h.mustSignIn(t, "al", true)
		bo, boTransport := h.mustSignIn(t, "bo", true)
		al.detach(l)
		for range signal.DefaultLimits().ResumeMessages {
			sleep(time.Millisecond)
			bo.note("al")
		}
		synctest.Wait()
		if _, err := h.checkResume(&wire.Request{Resume: al.client.Token()}); err != nil {
			t.Errorf("the session ended before the limit was exceeded: %v", err)
		}
		bo.note("al")
		boTransport.wants(t, false, "welcome", "gone")
		if _, err := h.resume(&fakeTransport{}, al.client.Token(), 0); err != signal.ErrResync {
			t.Errorf("resuming a session that has overflowed: got %v, want %v", err, signal.ErrResync)
		}
	})
}

// A write that hangs on the old transport does not keep a session from resuming on another one.
func TestHangingTransportDoesNotBlockResume(t *testing.T) {
	runBubble(t, func(h *Handler) {
		al, l := h.mustSignIn(t, "al", true)
		al.writeMu.Lock() // simulates a write that hangs
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
