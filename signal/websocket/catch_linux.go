package websocket

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	headWait   = 10 * time.Second      // for the first bytes of a connection
	acceptWait = 50 * time.Millisecond // after accepting has failed
	maxAccepts = 64                    // in a row
	maxPassed  = 256                   // connections that the server has yet to take
)

// Catch returns a listener in place of l, for a server whose connections are looked at first: a handshake for a WebSocket,
// if it is all that has come and atOnce says that the handler needn't wait for anything to answer it, is handed to the
// handler by the goroutine that reads for all WebSockets. A server would need two goroutines for it, which are
// started, wait and end. Everything else is the server's, as from [Listen].
//
// Connections that wait for the server beyond maxPassed are closed.
func Catch(l net.Listener, h http.Handler, atOnce func(*http.Request) bool, log *slog.Logger) (net.Listener, error) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return Listen(l), nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("catch connections: %w", err)
	}
	c := &catcher{
		handler: h, atOnce: atOnce, log: log, addr: l.Addr(), passed: make(chan net.Conn, maxPassed),
		closing: make(chan struct{}), waiting: make(map[*arrival]struct{}),
	}
	if c.wire, err = adopt(raw, l.Addr(), nil); err != nil {
		return nil, fmt.Errorf("catch connections: %w", err)
	}
	_ = l.Close()                                                            // the copy stays
	_ = unix.SetsockoptInt(c.wire.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // connections inherit it, as package net sets it
	c.wire.reader = c
	if err := c.wire.await(true); err != nil {
		c.wire.free()
		return nil, fmt.Errorf("catch connections: %w", err)
	}
	return c, nil
}

// catcher accepts connections in the poller's goroutine.
type catcher struct {
	handler http.Handler
	atOnce  func(*http.Request) bool
	log     *slog.Logger
	addr    net.Addr
	wire    *wire // the listening socket
	passed  chan net.Conn
	closing chan struct{}

	accepting sync.Mutex

	mu       sync.Mutex
	closed   bool
	waiting  map[*arrival]struct{} // have sent nothing yet
	arrivals sync.WaitGroup
}

// Accept implements net.Listener.
func (c *catcher) Accept() (net.Conn, error) {
	select {
	case conn := <-c.passed:
		return conn, nil
	case <-c.closing:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (c *catcher) Addr() net.Addr { return c.addr }

// Close implements net.Listener. Nothing of it runs when it returns.
func (c *catcher) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.closed = true
	for a := range c.waiting {
		_ = a.wire.Close()
	}
	c.mu.Unlock()
	close(c.closing)
	c.wire.poller.retire(c.wire)
	c.arrivals.Wait()
	c.await() // then nobody accepts, and nobody begins to: the descriptor can be given back
	c.wire.free()
	for {
		select {
		case conn := <-c.passed:
			_ = conn.Close()
		default:
			return nil
		}
	}
}

// await waits for who is accepting.
func (c *catcher) await() {
	c.accepting.Lock()
	defer c.accepting.Unlock()
}

// readable implements reader: connections have come.
func (c *catcher) readable(b *buffer, _ bool) (taken bool) {
	c.accepting.Lock()
	defer c.accepting.Unlock()
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	for i := 0; !closed; i++ {
		if i == maxAccepts {
			c.again() // others come first
			return false
		}
		fd, from, err := acceptNow(c.wire.fd)
		switch {
		case err == nil:
			c.welcome(fd, from, b)
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
		case errors.Is(err, unix.EAGAIN):
			return false
		default: // no descriptors are left, for one, which is no event when it passes
			time.AfterFunc(acceptWait, c.again)
			return false
		}
	}
	return false
}

// again looks for connections that could not be accepted.
func (c *catcher) again() {
	_ = c.wire.await(false) // taking away doesn't fail
	_ = c.wire.await(true)  // fails when closed
}

// welcome waits for what a new connection says, if it hasn't said it yet.
func (c *catcher) welcome(fd int, from net.Addr, b *buffer) {
	a := &arrival{catcher: c, wire: &wire{local: c.addr, remote: from, poller: c.wire.poller, fd: fd}}
	a.wire.reader = a
	enroll()
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.arrivals.Add(1)
		c.waiting[a] = struct{}{}
	}
	c.mu.Unlock()
	if closed {
		a.wire.freeHere(func() {})
		return
	}
	if a.heard(b) {
		return
	}
	a.timer = time.AfterFunc(headWait, func() { _ = a.wire.Close() })
	if a.wire.await(true) != nil {
		a.drop()
	}
}

// arrival is a connection that has yet to say what it wants.
type arrival struct {
	catcher *catcher
	wire    *wire
	timer   *time.Timer
}

// readable implements reader.
func (a *arrival) readable(b *buffer, _ bool) (taken bool) {
	a.heard(b)
	return false
}

// heard deals with the first bytes, if there are any.
func (a *arrival) heard(b *buffer) bool {
	n, err := a.wire.Read(b.b[:])
	switch {
	case silent(err):
		return false
	case err != nil:
		a.drop()
		return true
	}
	a.settle()
	defer a.catcher.arrivals.Done()
	if r, ok := handshake(b.b[:n], a.wire.remote); ok && a.catcher.atOnce(r) {
		a.serve(r)
	} else {
		a.pass(bytes.Clone(b.b[:n]))
	}
	return true
}

// settle is for an arrival that waits no longer.
func (a *arrival) settle() {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.catcher.mu.Lock()
	delete(a.catcher.waiting, a)
	a.catcher.mu.Unlock()
}

func (a *arrival) drop() {
	a.settle()
	a.wire.freeHere(func() {})
	a.catcher.arrivals.Done()
}

// serve has the handler answer a handshake.
func (a *arrival) serve(r *http.Request) {
	w := &answer{conn: a.wire, header: make(http.Header)}
	defer func() {
		if p := recover(); p != nil {
			a.catcher.log.Error("handshake panicked", slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
		}
		if !w.taken {
			a.wire.freeHere(func() {})
		}
	}()
	a.catcher.handler.ServeHTTP(w, r)
	w.send()
}

// pass leaves the connection, of which something has been read, to the server.
func (a *arrival) pass(early []byte) {
	f := os.NewFile(uintptr(a.wire.fd), "")
	a.wire.poller.retire(a.wire)
	a.wire.mu.Lock()
	a.wire.dead = true // for the timer, should it be late
	a.wire.mu.Unlock()
	conn, err := net.FileConn(f) // which copies it
	_ = f.Close()
	a.wire.poller.dismissHere(func() {})
	tcp, ok := conn.(*net.TCPConn)
	if err != nil || !ok {
		return
	}
	select {
	case a.catcher.passed <- &Conn{TCPConn: tcp, early: early}:
	default:
		_ = conn.Close()
	}
}
