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

// memory is a listener of connections and errors that a test puts in.
type memory struct {
	in     chan any
	closed chan struct{}
}

func newMemory() *memory { return &memory{make(chan any), make(chan struct{})} }

func (m *memory) Accept() (net.Conn, error) {
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

func (m *memory) Close() error {
	close(m.closed)
	return nil
}

func (m *memory) Addr() net.Addr { return &net.TCPAddr{} }

// connect puts a new connection in and returns its client's side.
func (m *memory) connect() net.Conn {
	near, far := net.Pipe()
	m.in <- far
	return near
}

// oneByte lets in who sends a byte.
func oneByte(l *Listener) Look {
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

func TestSlowClientsHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := newMemory()
		l := start(raw)
		slow, quick := raw.connect(), raw.connect()
		if closed(quick) {
			t.Fatal("closed too early")
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(Within + time.Second)
		synctest.Wait()
		if !closed(slow) {
			t.Error("a silent client stays")
		}
		go func() { _, _ = quick.Write([]byte("x")) }()
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Errorf("the deadline of the look outlives it: %v", err)
		}
		_ = l.Close()
		l.Wait()
	})
}

func TestOneTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := newMemory()
		l := start(raw)
		l.most = 2
		clients := []net.Conn{raw.connect(), raw.connect(), raw.connect()}
		synctest.Wait()
		gone := 0
		for _, c := range clients[:2] {
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
				gone++
			}
		}
		if gone != 1 {
			t.Errorf("%d of two were ended for a third", gone)
		}
		_ = l.Close()
		l.Wait()
		for _, c := range clients {
			if !closed(c) {
				t.Error("Close left a connection")
			}
		}
	})
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func TestAcceptErrorsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := newMemory()
		l := start(raw)
		for range 12 {
			raw.in <- syscall.EMFILE
		}
		if closed(raw.connect()) {
			t.Error("not served")
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

// What was looked at while nobody accepts any more is closed.
func TestCloseWithDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := newMemory()
		l := start(raw)
		c := raw.connect()
		if closed(c) {
			t.Fatal("closed too early")
		}
		synctest.Wait()
		_ = l.Close()
		l.Wait()
		if !closed(c) {
			t.Error("Close left a connection")
		}
	})
}
