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
	firstBytesWait  = 10 * time.Second      // limits the wait for the first bytes of a connection
	acceptRetryWait = 50 * time.Millisecond // the pause after accept has failed
	maxAccepts      = 64                    // connections accepted in a row, before the poller serves other connections
	maxToAccept     = 256                   // connections that wait for Accept; further ones are closed
)

// NewUpgradeListener replaces l by a listener that serves WebSocket handshakes itself. It reads the first bytes of each
// connection in the poller's goroutine. If they are exactly one upgrade request, and inline reports that h responds to it
// without blocking, h serves the request in that goroutine. An [http.Server] would start two goroutines for each handshake
// and end them right after the upgrade.
//
// Accept returns all other connections, for an http.Server; they are like those of [Listen]. If 256 of them wait for
// Accept, the listener closes further ones. It also closes a connection on which nothing arrives for 10 s.
//
// NewUpgradeListener closes l and uses a duplicate of its descriptor. If l is not a [net.TCPListener], it returns
// Listen(l). log receives the panics of h.
func NewUpgradeListener(
	l net.Listener, h http.Handler, inline func(*http.Request) bool, log *slog.Logger,
) (net.Listener, error) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return Listen(l), nil
	}
	sc, err := tcp.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("accept WebSocket handshakes: %w", err)
	}
	u := &upgradeListener{
		handler: h, inline: inline, log: log, addr: l.Addr(), toAccept: make(chan net.Conn, maxToAccept),
		closing: make(chan struct{}), pending: make(map[*pendingConn]struct{}),
	}
	if u.raw, err = dupRawConn(sc, l.Addr(), nil); err != nil {
		return nil, fmt.Errorf("accept WebSocket handshakes: %w", err)
	}
	_ = l.Close()
	// Accepted connections inherit the option. Package net sets it on each connection.
	_ = unix.SetsockoptInt(u.raw.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	u.raw.handler = u
	if err := u.raw.pollRead(true); err != nil {
		u.raw.release()
		return nil, fmt.Errorf("accept WebSocket handshakes: %w", err)
	}
	return u, nil
}

// upgradeListener accepts connections in the poller's goroutine. It implements [net.Listener] and readHandler.
type upgradeListener struct {
	handler  http.Handler
	inline   func(*http.Request) bool
	log      *slog.Logger
	addr     net.Addr
	raw      *rawConn      // the listening socket
	toAccept chan net.Conn // connections for Accept
	closing  chan struct{} // closed by Close

	acceptMu sync.Mutex // held by onReadable

	mu       sync.Mutex
	closed   bool
	pending  map[*pendingConn]struct{} // connections that have sent nothing yet
	inFlight sync.WaitGroup            // pending connections, and those whose first bytes are being handled
}

// Accept implements [net.Listener].
func (l *upgradeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.toAccept:
		return conn, nil
	case <-l.closing:
		return nil, net.ErrClosed
	}
}

// Addr implements [net.Listener].
func (l *upgradeListener) Addr() net.Addr { return l.addr }

// Close implements [net.Listener]. It closes all connections that Accept has not returned, and blocks until none of their
// handshakes is being served.
func (l *upgradeListener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return net.ErrClosed
	}
	l.closed = true
	for p := range l.pending {
		_ = p.raw.Close()
	}
	l.mu.Unlock()
	close(l.closing)
	l.raw.poller.deregister(l.raw)
	l.inFlight.Wait()
	l.waitForAccept() // afterwards nothing uses the descriptor: deregister keeps onReadable from being called again
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

// waitForAccept blocks while onReadable is running.
func (l *upgradeListener) waitForAccept() {
	l.acceptMu.Lock()
	defer l.acceptMu.Unlock()
}

// onReadable implements readHandler. The listening socket is readable if there are connections to accept.
func (l *upgradeListener) onReadable(b *buffer, _ bool) (tookBuffer bool) {
	l.acceptMu.Lock()
	defer l.acceptMu.Unlock()
	l.mu.Lock()
	closed := l.closed
	l.mu.Unlock()
	for i := 0; !closed; i++ {
		if i == maxAccepts {
			l.retryAccept()
			return false
		}
		fd, from, err := acceptNow(l.raw.fd)
		switch {
		case err == nil:
			l.addPending(fd, from, b)
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
		case errors.Is(err, unix.EAGAIN):
			return false
		default: // for example, the process has too many open files; the kernel sends no event when it has fewer again, so try again later
			time.AfterFunc(acceptRetryWait, l.retryAccept)
			return false
		}
	}
	return false
}

// retryAccept makes the poller call onReadable again if there are connections to accept. Registering the socket again causes
// an event for connections that have been reported already.
func (l *upgradeListener) retryAccept() {
	_ = l.raw.pollRead(false) // removal does not fail
	_ = l.raw.pollRead(true)  // fails after Close
}

// addPending handles the first bytes of a new connection: now, if they have arrived already, and otherwise when they arrive.
func (l *upgradeListener) addPending(fd int, from net.Addr, b *buffer) {
	p := &pendingConn{listener: l, raw: &rawConn{local: l.addr, remote: from, poller: l.raw.poller, fd: fd}}
	p.raw.handler = p
	retainPoller()
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.inFlight.Add(1)
		l.pending[p] = struct{}{}
	}
	l.mu.Unlock()
	if closed {
		p.raw.releaseFromPoller(func() {})
		return
	}
	if p.handleFirstBytes(b) {
		return
	}
	p.timer = time.AfterFunc(firstBytesWait, func() { _ = p.raw.Close() })
	if p.raw.pollRead(true) != nil {
		p.discard()
	}
}

// pendingConn is an accepted connection whose first bytes have not been handled. It implements readHandler.
type pendingConn struct {
	listener *upgradeListener
	raw      *rawConn
	timer    *time.Timer // closes the connection after firstBytesWait; nil until the first read found nothing
}

// onReadable implements readHandler.
func (p *pendingConn) onReadable(b *buffer, _ bool) (tookBuffer bool) {
	p.handleFirstBytes(b)
	return false
}

// handleFirstBytes reads the first bytes and either serves a handshake or leaves the connection to the server. It reports
// false if no bytes have arrived. Otherwise p has been handled, and must not be used again.
func (p *pendingConn) handleFirstBytes(b *buffer) (done bool) {
	n, err := p.raw.Read(b.data[:])
	switch {
	case isWouldBlock(err):
		return false
	case err != nil:
		p.discard()
		return true
	}
	p.stopWaiting()
	defer p.listener.inFlight.Done()
	if r, ok := parseHandshake(b.data[:n], p.raw.remote); ok && p.listener.inline(r) {
		p.serveUpgrade(r)
	} else {
		p.handToServer(bytes.Clone(b.data[:n]))
	}
	return true
}

// stopWaiting stops the timer and removes p from the pending connections.
func (p *pendingConn) stopWaiting() {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.listener.mu.Lock()
	delete(p.listener.pending, p)
	p.listener.mu.Unlock()
}

// discard closes a connection on which nothing has arrived.
func (p *pendingConn) discard() {
	p.stopWaiting()
	p.raw.releaseFromPoller(func() {})
	p.listener.inFlight.Done()
}

// serveUpgrade passes a handshake to the handler. Unless the handler hijacks the connection, serveUpgrade closes it.
func (p *pendingConn) serveUpgrade(r *http.Request) {
	w := &handshakeResponse{conn: p.raw, header: make(http.Header)}
	defer func() {
		if cause := recover(); cause != nil {
			p.listener.log.Error("handler of a WebSocket handshake panicked",
				slog.String("panic", fmt.Sprint(cause)), slog.String("stack", string(debug.Stack())))
		}
		if !w.hijacked {
			p.raw.releaseFromPoller(func() {})
		}
	}()
	p.listener.handler.ServeHTTP(w, r)
	w.writeResponse()
}

// handToServer converts the connection to a [net.TCPConn] for Accept. readAhead holds the bytes that were read from it.
func (p *pendingConn) handToServer(readAhead []byte) {
	f := os.NewFile(uintptr(p.raw.fd), "")
	p.raw.poller.deregister(p.raw)
	p.raw.mu.Lock()
	p.raw.closed = true // so that a timer that fires late does not shut down another connection with this descriptor
	p.raw.mu.Unlock()
	conn, err := net.FileConn(f) // duplicates the descriptor
	_ = f.Close()
	p.raw.poller.releaseFromOwnGoroutine(func() {})
	tcp, ok := conn.(*net.TCPConn)
	if err != nil || !ok {
		return
	}
	select {
	case p.listener.toAccept <- &pollableConn{TCPConn: tcp, readAhead: readAhead}:
	default:
		_ = conn.Close()
	}
}
