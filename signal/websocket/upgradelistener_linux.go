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
	firstBytesWait  = 10 * time.Second      // for the first bytes of a connection
	acceptRetryWait = 50 * time.Millisecond // after accepting has failed
	maxAccepts      = 64                    // in a row
	maxToAccept     = 256                   // connections that the server has yet to take
)

// NewUpgradeListener returns a listener in place of l, for a server whose connections are looked at first: a handshake for a WebSocket,
// if it is all that has come and inline says that the handler needn't wait for anything to answer it, is handed to the
// handler by the goroutine that reads for all WebSockets. A server would need two goroutines for it, which are
// started, wait and end. Everything else is the server's, as from [Listen].
//
// Connections that wait for the server beyond maxToAccept are closed.
func NewUpgradeListener(l net.Listener, h http.Handler, inline func(*http.Request) bool, log *slog.Logger) (net.Listener, error) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return Listen(l), nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("accept WebSocket handshakes: %w", err)
	}
	c := &upgradeListener{
		handler: h, inline: inline, log: log, addr: l.Addr(), toAccept: make(chan net.Conn, maxToAccept),
		closing: make(chan struct{}), pending: make(map[*pendingConn]struct{}),
	}
	if c.raw, err = dupRawConn(raw, l.Addr(), nil); err != nil {
		return nil, fmt.Errorf("accept WebSocket handshakes: %w", err)
	}
	_ = l.Close()                                                           // the copy stays
	_ = unix.SetsockoptInt(c.raw.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // connections inherit it, as package net sets it
	c.raw.handler = c
	if err := c.raw.pollRead(true); err != nil {
		c.raw.release()
		return nil, fmt.Errorf("accept WebSocket handshakes: %w", err)
	}
	return c, nil
}

// upgradeListener accepts connections in the poller's goroutine.
type upgradeListener struct {
	handler  http.Handler
	inline   func(*http.Request) bool
	log      *slog.Logger
	addr     net.Addr
	raw      *rawConn // the listening socket
	toAccept chan net.Conn
	closing  chan struct{}

	accepting sync.Mutex

	mu       sync.Mutex
	closed   bool
	pending  map[*pendingConn]struct{} // have sent nothing yet
	inFlight sync.WaitGroup
}

// Accept implements net.Listener.
func (l *upgradeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.toAccept:
		return conn, nil
	case <-l.closing:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (l *upgradeListener) Addr() net.Addr { return l.addr }

// Close implements net.Listener. Nothing of it runs when it returns.
func (l *upgradeListener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return net.ErrClosed
	}
	l.closed = true
	for a := range l.pending {
		_ = a.raw.Close()
	}
	l.mu.Unlock()
	close(l.closing)
	l.raw.poller.deregister(l.raw)
	l.inFlight.Wait()
	l.waitForAccept() // then nobody accepts, and nobody begins to: the descriptor can be given back
	l.raw.release()
	for {
		select {
		case conn := <-l.toAccept:
			_ = conn.Close()
		default:
			return nil
		}
	}
}

// waitForAccept waits for who is accepting.
func (l *upgradeListener) waitForAccept() {
	l.accepting.Lock()
	defer l.accepting.Unlock()
}

// onReadable implements reader: connections have come.
func (l *upgradeListener) onReadable(b *buffer, _ bool) (taken bool) {
	l.accepting.Lock()
	defer l.accepting.Unlock()
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	for i := 0; !closed; i++ {
		if i == maxAccepts {
			l.retryAccept() // others come first
			return false
		}
		fd, from, err := acceptNow(l.raw.fd)
		switch {
		case err == nil:
			l.addPending(fd, from, b)
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
		case errors.Is(err, unix.EAGAIN):
			return false
		default: // no descriptors are left, for one, which is no event when it passes
			time.AfterFunc(acceptRetryWait, l.retryAccept)
			return false
		}
	}
	return false
}

// retryAccept looks for connections that could not be accepted.
func (l *upgradeListener) retryAccept() {
	_ = l.raw.pollRead(false) // taking away doesn't fail
	_ = l.raw.pollRead(true)  // fails when closed
}

// addPending waits for what a new connection says, if it hasn't said it yet.
func (l *upgradeListener) addPending(fd int, from net.Addr, b *buffer) {
	a := &pendingConn{listener: l, raw: &rawConn{local: l.addr, remote: from, poller: l.raw.poller, fd: fd}}
	a.raw.handler = a
	retainPoller()
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.inFlight.Add(1)
		l.pending[a] = struct{}{}
	}
	l.mu.Unlock()
	if closed {
		a.raw.releaseFromPoller(func() {})
		return
	}
	if a.handleFirstBytes(b) {
		return
	}
	a.timer = time.AfterFunc(firstBytesWait, func() { _ = a.raw.Close() })
	if a.raw.pollRead(true) != nil {
		a.discard()
	}
}

// pendingConn is a connection that has yet to say what it wants.
type pendingConn struct {
	listener *upgradeListener
	raw      *rawConn
	timer    *time.Timer
}

// onReadable implements reader.
func (p *pendingConn) onReadable(b *buffer, _ bool) (taken bool) {
	p.handleFirstBytes(b)
	return false
}

// handleFirstBytes deals with the first bytes, if there are any.
func (p *pendingConn) handleFirstBytes(b *buffer) bool {
	n, err := p.raw.Read(b.b[:])
	switch {
	case isWouldBlock(err):
		return false
	case err != nil:
		p.discard()
		return true
	}
	p.stopWaiting()
	defer p.listener.inFlight.Done()
	if r, ok := parseHandshake(b.b[:n], p.raw.remote); ok && p.listener.inline(r) {
		p.serveUpgrade(r)
	} else {
		p.handToServer(bytes.Clone(b.b[:n]))
	}
	return true
}

// stopWaiting is for a pending connection that waits no longer.
func (p *pendingConn) stopWaiting() {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.listener.mu.Lock()
	delete(p.listener.pending, p)
	p.listener.mu.Unlock()
}

func (p *pendingConn) discard() {
	p.stopWaiting()
	p.raw.releaseFromPoller(func() {})
	p.listener.inFlight.Done()
}

// serveUpgrade has the handler answer a handshake.
func (p *pendingConn) serveUpgrade(r *http.Request) {
	w := &handshakeResponse{conn: p.raw, header: make(http.Header)}
	defer func() {
		if cause := recover(); cause != nil {
			p.listener.log.Error("handshake panicked", slog.String("panic", fmt.Sprint(cause)), slog.String("stack", string(debug.Stack())))
		}
		if !w.hijacked {
			p.raw.releaseFromPoller(func() {})
		}
	}()
	p.listener.handler.ServeHTTP(w, r)
	w.send()
}

// handToServer leaves the connection, of which something has been read, to the server.
func (p *pendingConn) handToServer(readAhead []byte) {
	f := os.NewFile(uintptr(p.raw.fd), "")
	p.raw.poller.deregister(p.raw)
	p.raw.mu.Lock()
	p.raw.closed = true // for the timer, should it be late
	p.raw.mu.Unlock()
	conn, err := net.FileConn(f) // which copies it
	_ = f.Close()
	p.raw.poller.releaseFromLoop(func() {})
	tcp, ok := conn.(*net.TCPConn)
	if err != nil || !ok {
		return
	}
	select {
	case p.listener.toAccept <- &Conn{TCPConn: tcp, readAhead: readAhead}:
	default:
		_ = conn.Close()
	}
}
