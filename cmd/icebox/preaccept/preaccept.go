// Package preaccept inspects the beginning of each connection before a server gets it.
//
// A [Listener] stands between a listener and a server. It runs the inspection of each connection in a goroutine of its own, so
// a client that is slow to send its first bytes delays no other client. The inspection decides what happens to the connection:
// usually the server accepts it next.
//
// An inspection may take 10 s, and 4096 run at once. When one more connection comes, the Listener closes a random one
// of them. So if an attacker opens many silent connections, they mostly replace each other. An Accept error such as
// EMFILE is temporary, see [streamio.Accept].
package preaccept

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"icebox/turnserver/streamio"
)

// Timeout is how long the inspection of a connection may take.
const Timeout = 10 * time.Second

// maxPending is how many connections are inspected at once.
const maxPending = 4096

// Inspect reads the beginning of c before ctx is done, and returns the func that disposes of c. c has no deadline when
// dispose is called. If Inspect returns an error, c is closed. While Inspect runs, the Listener may close c, because
// the Listener is closed or another connection replaces c.
type Inspect func(ctx context.Context, c net.Conn) (dispose func(), err error)

// Listener is a net.Listener whose Accept returns the connections that were delivered to it.
type Listener struct {
	raw     net.Listener
	inspect Inspect
	log     *slog.Logger

	delivered chan net.Conn
	ctx       context.Context
	cancel    context.CancelFunc
	work      sync.WaitGroup

	mu         sync.Mutex
	pending    map[net.Conn]struct{} // connections that are inspected
	maxPending int
}

// New returns a Listener, which owns raw from now on. newInspect makes the inspection. It is given the Listener because
// inspections deliver connections to it, see [Listener.Deliver].
func New(raw net.Listener, log *slog.Logger, newInspect func(*Listener) Inspect) *Listener {
	l := &Listener{raw: raw, log: log, delivered: make(chan net.Conn), pending: make(map[net.Conn]struct{}), maxPending: maxPending}
	l.inspect = newInspect(l)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.work.Go(l.acceptAll)
	return l
}

func (l *Listener) acceptAll() {
	streamio.Accept(l.ctx, l.raw, l.log, func(c net.Conn) {
		l.addPending(c)
		l.work.Go(func() { l.handle(c) })
	})
}

// handle inspects c and disposes of it.
func (l *Listener) handle(c net.Conn) {
	dispose, err := l.inspectInTime(c)
	l.removePending(c)
	if err != nil {
		_ = c.Close() // the inspection has counted or logged the error
		return
	}
	dispose()
}

func (l *Listener) inspectInTime(c net.Conn) (dispose func(), err error) {
	ctx, cancel := context.WithTimeout(l.ctx, Timeout)
	defer cancel()
	if err := c.SetDeadline(time.Now().Add(Timeout)); err != nil {
		return nil, err
	}
	dispose, err = l.inspect(ctx, c)
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	return dispose, err
}

// addPending records that c is inspected. If there is no room, it closes another connection.
func (l *Listener) addPending(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) >= l.maxPending {
		for other := range l.pending { // in random order
			delete(l.pending, other)
			_ = other.Close() // ends its inspection with an error
			break
		}
	}
	l.pending[c] = struct{}{}
	if l.ctx.Err() != nil {
		_ = c.Close() // Close does not know of it
	}
}

func (l *Listener) removePending(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pending, c)
}

// Deliver blocks until a call of Accept returns c. If the listener is closed before, Deliver closes c.
func (l *Listener) Deliver(c net.Conn) {
	select {
	case l.delivered <- c:
	case <-l.ctx.Done():
		_ = c.Close()
	}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.delivered:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.raw.Addr() }

// Close implements net.Listener. It returns before the goroutines of the listener have ended, see Wait.
func (l *Listener) Close() error {
	l.cancel()
	err := l.raw.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.pending {
		_ = c.Close() // ends its inspection with an error
	}
	return err
}

// Wait blocks until all goroutines of the listener have ended. Call it after Close.
func (l *Listener) Wait() { l.work.Wait() }
