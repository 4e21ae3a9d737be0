package preaccept

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeListener returns the connections and errors that a test sends to it.
type fakeListener struct {
	in     chan any
	closed chan struct{}
}

func newFakeListener() *fakeListener { return &fakeListener{make(chan any), make(chan struct{})} }

func (m *fakeListener) Accept() (net.Conn, error) {
	select {
	case v := <-m.in:
		if err, ok := v.(error); ok {
			return nil, err
		}
		return v.(net.Conn), nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *fakeListener) Close() error {
	close(m.closed)
	return nil
}

func (m *fakeListener) Addr() net.Addr { return &net.TCPAddr{} }

// connect lets Accept return a new connection, and returns the client's side of it.
func (m *fakeListener) connect() net.Conn {
	near, far := net.Pipe()
	m.in <- far
	return near
}

// oneByte delivers a connection once the client has sent a byte.
func oneByte(l *Listener) Inspect {
	return func(_ context.Context, c net.Conn) (func(), error) {
		if _, err := c.Read(make([]byte, 1)); err != nil {
			return nil, err
		}
		return func() { l.Deliver(c) }, nil
	}
}

func start(raw net.Listener) *Listener {
	return New(raw, slog.New(slog.DiscardHandler), oneByte)
}

func closed(c net.Conn) bool {
	_, err := c.Write([]byte{1})
	return err != nil
}

func TestSlowClientDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := newFakeListener()
		l := start(raw)
		slow, quick := raw.connect(), raw.connect()
		if closed(quick) {
			t.Fatal("the connection was closed too early")
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(Timeout + time.Second)
		synctest.Wait()
		if !closed(slow) {
			t.Error("the connection of a silent client stays open")
		}
		go func() { _, _ = quick.Write([]byte("x")) }()
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Errorf("the deadline of the inspection outlives it: %v", err)
		}
		_ = l.Close()
		l.Wait()
	})
}

func TestDisplacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := newFakeListener()
		l := start(raw)
		l.maxPending = 2
		clients := []net.Conn{raw.connect(), raw.connect(), raw.connect()}
		synctest.Wait()
		closedCount := 0
		for _, c := range clients[:2] {
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
				closedCount++
			}
		}
		if closedCount != 1 {
			t.Errorf("a third connection displaced %d connections, want 1", closedCount)
		}
		_ = l.Close()
		l.Wait()
		for _, c := range clients {
			if !closed(c) {
				t.Error("Close left a connection open")
			}
		}
	})
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func TestTemporaryAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := newFakeListener()
		l := start(raw)
		for range 12 {
			raw.in <- syscall.EMFILE
		}
		if closed(raw.connect()) {
			t.Error("a connection after the errors was not served")
		}
		if _, err := l.Accept(); err != nil {
			t.Error(err)
		}
		_ = l.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v", err)
		}
		l.Wait()
	})
}

// TestCloseWithDeliveries: Close also closes connections that were inspected and that no call of Accept has returned.
func TestCloseWithDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := newFakeListener()
		l := start(raw)
		c := raw.connect()
		if closed(c) {
			t.Fatal("the connection was closed too early")
		}
		synctest.Wait()
		_ = l.Close()
		l.Wait()
		if !closed(c) {
			t.Error("Close left a connection open")
		}
	})
}
