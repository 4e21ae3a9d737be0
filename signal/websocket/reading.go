package websocket

import (
	"errors"
	"net"
)

// run reads until the connection ends, in a goroutine of its own.
func (l *link) run() {
	defer l.finish()
	b := newBuffer()
	defer b.free()
	l.guard(l.session.Open)
	for !l.over {
		n, err := l.conn.nc.Read(b.b[:])
		if n > 0 {
			l.digest(l.feed(b.b[:n]))
		}
		if err != nil {
			return
		}
	}
}

// begin has the poller read.
func (l *link) begin() {
	l.conn.wire.reader = l
	l.guard(l.session.Open)
	if l.secure() {
		l.elsewhere(func() {}) // something may have been decrypted already
		return
	}
	l.await()
}

// secure reports whether there is TLS between the link and its wire.
func (l *link) secure() bool { return l.conn.nc != net.Conn(l.conn.wire) }

// await goes on when something comes.
func (l *link) await() {
	if l.over || l.conn.wire.await(true) != nil {
		l.finish()
	}
}

// readable is what the poller calls when something has come, perhaps the end. It reports whether the buffer is taken from it.
func (l *link) readable(b *buffer, ends bool) (taken bool) {
	for range maxReads {
		n, err := l.conn.nc.Read(b.b[:])
		switch {
		case n > 0 && l.take(b, n):
			return true
		case l.over || err != nil && !silent(err):
			l.quit()
			return false
		case err != nil || !l.secure() && n < len(b.b) && !ends:
			return false // nothing more for now: what comes after this is an event of its own
		}
	}
	l.elsewhere(func() {}) // others come first, and what TLS has read already is no event of the kernel's
	return false
}

// take deals with what has been read. It reports whether that takes its time, elsewhere, and the buffer with it.
func (l *link) take(b *buffer, n int) (taken bool) {
	slow, rest := l.feed(b.b[:n])
	if slow == nil {
		return false
	}
	l.elsewhere(func() {
		l.digest(slow, rest)
		b.free()
	})
	return true
}

// elsewhere takes the link from the poller, and gives it back when something is done and everything has been read
// that is there.
func (l *link) elsewhere(do func()) {
	_ = l.conn.wire.await(false) // taking away doesn't fail
	go func() {
		do()
		b := newBuffer()
		defer b.free()
		for !l.over && l.secure() {
			n, err := l.conn.nc.Read(b.b[:])
			if n > 0 {
				l.digest(l.feed(b.b[:n]))
			}
			if silent(err) {
				break
			}
			l.over = l.over || err != nil
		}
		l.await()
	}()
}

// digest does what feed has left, in a goroutine that may wait.
func (l *link) digest(slow func(), rest []byte) {
	for slow != nil {
		l.guard(slow)
		slow, rest = l.feed(rest)
	}
}

// quit ends the link for the poller, which does so itself if it needn't wait.
func (l *link) quit() {
	_ = l.conn.wire.await(false) // taking away doesn't fail
	l.over = true
	l.settle()
	if !l.client.TryClose(l.done) {
		go l.finish()
		return
	}
	l.conn.wire.freeHere(l.left)
}

// finish is for a link that nobody reads any more.
func (l *link) finish() {
	defer l.left()
	l.settle()
	l.done()
	l.client.Close()
	l.conn.free()
}

// silent reports whether a read ended because nothing has come yet.
func silent(err error) bool { return errors.Is(err, errAgain) }
