package websocket

import (
	"errors"
	"net"
)

// run reads until the connection ends, in a goroutine of its own.
func (r *reader) run() {
	defer r.finish()
	b := newBuffer()
	defer b.release()
	r.runRecovered(r.handler.Open)
	for !r.readDone {
		n, err := r.conn.nc.Read(b.b[:])
		if n > 0 {
			r.runSlow(r.feed(b.b[:n]))
		}
		if err != nil {
			return
		}
	}
}

// startPolling has the poller read.
func (r *reader) startPolling() {
	r.conn.raw.handler = r
	r.runRecovered(r.handler.Open)
	if r.usesTLS() {
		r.handOffToGoroutine(func() {}) // something may have been decrypted already
		return
	}
	r.resumePolling()
}

// usesTLS reports whether there is TLS between the reader and its raw connection.
func (r *reader) usesTLS() bool { return r.conn.nc != net.Conn(r.conn.raw) }

// resumePolling goes on when something comes.
func (r *reader) resumePolling() {
	if r.readDone || r.conn.raw.pollRead(true) != nil {
		r.finish()
	}
}

// onReadable is what the poller calls when something has come, perhaps the end. It reports whether the buffer is taken from it.
func (r *reader) onReadable(b *buffer, ends bool) (taken bool) {
	for range maxReads {
		n, err := r.conn.nc.Read(b.b[:])
		switch {
		case n > 0 && r.processRead(b, n):
			return true
		case r.readDone || err != nil && !isWouldBlock(err):
			r.closeFromPoller()
			return false
		case err != nil || !r.usesTLS() && n < len(b.b) && !ends:
			return false // nothing more for now: what comes after this is an event of its own
		}
	}
	r.handOffToGoroutine(func() {}) // others come first, and what TLS has read already is no event of the kernel's
	return false
}

// processRead deals with what has been read. It reports whether that takes its time, elsewhere, and the buffer with it.
func (r *reader) processRead(b *buffer, n int) (taken bool) {
	slow, rest := r.feed(b.b[:n])
	if slow == nil {
		return false
	}
	r.handOffToGoroutine(func() {
		r.runSlow(slow, rest)
		b.release()
	})
	return true
}

// handOffToGoroutine takes the reader from the poller, and gives it back when something is done and everything has been read
// that is there.
func (r *reader) handOffToGoroutine(do func()) {
	_ = r.conn.raw.pollRead(false) // taking away doesn't fail
	go func() {
		do()
		b := newBuffer()
		defer b.release()
		for !r.readDone && r.usesTLS() {
			n, err := r.conn.nc.Read(b.b[:])
			if n > 0 {
				r.runSlow(r.feed(b.b[:n]))
			}
			if isWouldBlock(err) {
				break
			}
			r.readDone = r.readDone || err != nil
		}
		r.resumePolling()
	}()
}

// runSlow does what feed has left, in a goroutine that may wait.
func (r *reader) runSlow(slow func(), rest []byte) {
	for slow != nil {
		r.runRecovered(slow)
		slow, rest = r.feed(rest)
	}
}

// closeFromPoller ends the reader for the poller, which does so itself if it needn't wait.
func (r *reader) closeFromPoller() {
	_ = r.conn.raw.pollRead(false) // taking away doesn't fail
	r.readDone = true
	r.stopStallTimer()
	if !r.peer.TryClose(r.done) {
		go r.finish()
		return
	}
	r.conn.raw.releaseFromPoller(r.untrack)
}

// finish is for a reader that nobody reads any more.
func (r *reader) finish() {
	defer r.untrack()
	r.stopStallTimer()
	r.done()
	r.peer.Close()
	r.conn.release()
}

// isWouldBlock reports whether a read ended because nothing has come yet.
func isWouldBlock(err error) bool { return errors.Is(err, errWouldBlock) }
