package turnserver

import (
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// flakyListener fails a number of times, then returns the connections sent to conns until it is closed.
type flakyListener struct {
	failures int
	conns    chan net.Conn
	once     sync.Once
	closed   chan struct{}
}

func (l *flakyListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, os.NewSyscallError("accept4", syscall.EMFILE)
	}
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *flakyListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(memoryServer) }

func (l *flakyListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// addressed is a connection with a remote address of its own.
type addressed struct {
	net.Conn
	remote net.Addr
}

func (a addressed) RemoteAddr() net.Addr { return a.remote }

// While Accept fails, the server logs the error and waits before it tries again: longer each time, and at most a second. Then it
// serves as usual.
func TestAcceptRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const failures = 100
		var log syncBuffer
		ts := serveInMemory(t, newMemoryNet(), func(o *Options, _ *Limits) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		l := &flakyListener{failures: failures, conns: make(chan net.Conn), closed: make(chan struct{})}
		start := time.Now()
		if err := ts.AddListener(l, TCP); err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		l.conns <- addressed{far, net.TCPAddrFromAddrPort(memoryHome)}
		if d := time.Since(start); d < 90*time.Second || d > failures*time.Second {
			t.Errorf("%d failures took %v", failures, d)
		}
		if n := strings.Count(log.String(), "accept failed"); n != failures {
			t.Errorf("%d lines for %d failures", n, failures)
		}
		(&client{t: t, conn: near, stream: true, user: testUser, password: testPass}).login()

		// A connection without a TCP address is closed.
		other, end := net.Pipe()
		l.conns <- end
		if _, err := other.Read(make([]byte, 1)); err == nil {
			t.Error("a connection without an address is served")
		}
		near.Close()
	})
}

// Close does not wait for an accept loop that waits after an error.
func TestCloseWhileAcceptRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := serveInMemory(t, newMemoryNet(), nil)
		if err := ts.AddListener(&flakyListener{failures: 1 << 30, closed: make(chan struct{})}, TCP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		start := time.Now()
		if err := ts.Close(); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("Close took %v", d)
		}
	})
}
