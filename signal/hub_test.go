package signal

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"icebox/signal/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeConn is a Conn in memory together with its remote end. A test can block writes to it, as they are when the remote end
// does not read.
type fakeConn struct {
	mu           sync.Mutex
	frames       []string
	pings        int
	reason       Reason
	held         chan struct{} // if not nil, writes block until it is closed
	answersPings bool
	cut          chan struct{} // closed when the connection ends
	once         sync.Once
	client       *Client
}

var errCut = errors.New("connection is cut")

func (w *fakeConn) waitWhileHeld(deadline time.Time) error {
	w.mu.Lock()
	held := w.held
	w.mu.Unlock()
	if held == nil {
		return nil
	}
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	select {
	case <-held:
		return nil
	case <-t.C:
		return context.DeadlineExceeded
	case <-w.cut:
		return errCut
	}
}

func (w *fakeConn) Write(frame []byte, deadline time.Time) error {
	if err := w.waitWhileHeld(deadline); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frames = append(w.frames, string(frame))
	return nil
}

func (w *fakeConn) Ping(deadline time.Time) error {
	if err := w.waitWhileHeld(deadline); err != nil {
		return err
	}
	w.mu.Lock()
	w.pings++
	answers, client := w.answersPings, w.client
	w.mu.Unlock()
	if answers {
		client.Seen()
	}
	return nil
}

func (w *fakeConn) Close(why Reason) {
	w.mu.Lock()
	w.reason = why
	w.mu.Unlock()
	w.Abort()
}

func (w *fakeConn) Abort() { w.once.Do(func() { close(w.cut) }) }

func (w *fakeConn) got() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.frames)
}

func (w *fakeConn) pinged() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pings
}

// holdWrites blocks writes until release is called.
func (w *fakeConn) holdWrites() (release func()) {
	held := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = held
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.held = nil
		close(held)
	}
}

var testProfile = Profile{
	Protocol: "test", OneCall: true,
	Encode: func(b []byte, m broker.Message) []byte {
		return append(b, m.Kind.String()+" "+m.FromName+" "+string(m.Payload)...)
	},
}

func newHub(t *testing.T, o Options, change ...func(*Limits)) *Hub {
	t.Helper()
	l := DefaultLimits()
	for _, f := range change {
		f(&l)
	}
	h, err := New(o, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return h
}

// connect connects a client, which is closed when its connection is cut.
func connect(t *testing.T, h *Hub, p Profile) *fakeConn {
	t.Helper()
	return connectFrom(t, h, p, Visitor{})
}

func connectFrom(t *testing.T, h *Hub, p Profile, v Visitor) *fakeConn {
	t.Helper()
	w := &fakeConn{cut: make(chan struct{}), answersPings: true}
	c, err := h.Connect(w, p, v)
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.client = c
	w.mu.Unlock()
	go func() {
		<-w.cut
		c.Close()
	}()
	return w
}

func signIn(t *testing.T, h *Hub, name string) *fakeConn {
	t.Helper()
	w := connect(t, h, testProfile)
	wantErr(t, w.client.SignIn(name), nil)
	return w
}

// sleep sleeps on the fake clock of a synctest bubble.
func sleep(d time.Duration) { <-time.After(d) }

func wantErr(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func wantFrames(t *testing.T, w *fakeConn, frames ...string) {
	t.Helper()
	if got := w.got(); !slices.Equal(got, frames) {
		t.Fatalf("got frames %q, want %q", got, frames)
	}
}
