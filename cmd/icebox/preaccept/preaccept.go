// Package preaccept stands between a listener and a server: it looks at the
// beginning of each connection, in a goroutine of its own, before the server
// gets it. A client that is slow to begin holds up nobody else.
//
// A look has so much time, and so many are under way at once: one more ends
// another, picked at random, so that a crowd of silent clients pushes out its
// own. An Accept error such as EMFILE passes, so it is waited out.
package preaccept

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"icebox/turnserver/streamio"
)

// Within is how long a connection has to show what it is.
const Within = 10 * time.Second

// atOnce is how many connections may be looked at.
const atOnce = 4096

// Look finds out what c is before ctx ends, and returns what is to be done with
// it; c then has no deadline. With an error c is closed. Close of the listener, and a newcomer in
// its place, close c meanwhile.
type Look func(ctx context.Context, c net.Conn) (then func(), err error)

// Listener hands on what its look found.
type Listener struct {
	raw  net.Listener
	look Look
	log  *slog.Logger

	ready  chan net.Conn
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	looking map[net.Conn]struct{}
	most    int
}

// New owns raw from now on. The look is made for the listener, which it may
// hand connections to, see [Listener.Deliver].
func New(raw net.Listener, log *slog.Logger, look func(*Listener) Look) *Listener {
	l := &Listener{raw: raw, log: log, ready: make(chan net.Conn), looking: make(map[net.Conn]struct{}), most: atOnce}
	l.look = look(l)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.work.Go(l.accept)
	return l
}

func (l *Listener) accept() {
	streamio.Accept(l.ctx, l.raw, l.log, func(c net.Conn) {
		l.enter(c)
		l.work.Go(func() { l.receive(c) })
	})
}

// receive looks at c and does what then is to be done.
func (l *Listener) receive(c net.Conn) {
	then, err := l.seen(c)
	l.leave(c)
	if err != nil {
		_ = c.Close() // what is wrong with it has been counted
		return
	}
	then()
}

func (l *Listener) seen(c net.Conn) (func(), error) {
	ctx, cancel := context.WithTimeout(l.ctx, Within)
	defer cancel()
	if err := c.SetDeadline(time.Now().Add(Within)); err != nil {
		return nil, err
	}
	then, err := l.look(ctx, c)
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	return then, err
}

// enter counts c among those that are looked at.
func (l *Listener) enter(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.looking) >= l.most {
		for other := range l.looking { // in random order
			delete(l.looking, other)
			_ = other.Close() // its look ends with an error
			break
		}
	}
	l.looking[c] = struct{}{}
	if l.ctx.Err() != nil {
		_ = c.Close() // it came while the listener was closed
	}
}

func (l *Listener) leave(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.looking, c)
}

// Deliver hands c to who accepts from l.
func (l *Listener) Deliver(c net.Conn) {
	select {
	case l.ready <- c:
	case <-l.ctx.Done():
		_ = c.Close() // nobody accepts any more
	}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.raw.Addr() }

// Close implements net.Listener. It does not wait: see Wait.
func (l *Listener) Close() error {
	l.cancel()
	err := l.raw.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.looking {
		_ = c.Close() // its look ends with an error
	}
	return err
}

// Wait waits, after Close, for all that l has begun.
func (l *Listener) Wait() { l.work.Wait() }
