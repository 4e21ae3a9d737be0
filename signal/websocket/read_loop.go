package websocket

import (
	"errors"
	"net"
)

// run reads a connection that the poller cannot read, until the connection ends. It is the body of a goroutine.
func (r *reader) run() {
	defer r.finish()
	b := newBuffer()
	defer b.release()
	r.runRecovered(r.handler.Open)
	for !r.readDone {
		n, err := r.conn.nc.Read(b.data[:])
		if n > 0 {
			r.runSlow(r.feed(b.data[:n]))
		}
		if err != nil {
			return
		}
	}
}

// startPolling makes the poller read the connection.
func (r *reader) startPolling() {
	r.conn.raw.handler = r
	r.runRecovered(r.handler.Open)
	if r.isWrapped() {
		r.handOffToGoroutine(func() {}) // the handshake may have left decrypted bytes in the *tls.Conn
		return
	}
	r.resumePolling()
}

// isWrapped reports whether another connection, usually a *tls.Conn, is around the raw connection. It may hold bytes that it
// has read from the socket already, for which the kernel reports no event.
func (r *reader) isWrapped() bool { return r.conn.nc != net.Conn(r.conn.raw) }

// resumePolling returns the connection to the poller, or ends the reader if there is nothing more to read.
func (r *reader) resumePolling() {
	if r.readDone || r.conn.raw.pollRead(true) != nil {
		r.finish()
	}
}

// onReadable implements readHandler.
func (r *reader) onReadable(b *buffer, hungUp bool) (tookBuffer bool) {
	for range maxReads {
		n, err := r.conn.nc.Read(b.data[:])
		switch {
		case n > 0 && r.processRead(b, n):
			return true
		case r.readDone || err != nil && !isWouldBlock(err):
			r.closeFromPoller()
			return false
		case err != nil || !r.isWrapped() && n < len(b.data) && !hungUp:
			return false // the socket is empty; the poller reports bytes that arrive later
		}
	}
	// The poller reads other connections before it reads this one again. handOffToGoroutine registers this one again, which
	// causes an event if bytes are left in the socket.
	r.handOffToGoroutine(func() {})
	return false
}

// processRead handles the first n bytes of b. It reports whether a goroutine does the rest of the work and keeps b.
func (r *reader) processRead(b *buffer, n int) (tookBuffer bool) {
	slow, rest := r.feed(b.data[:n])
	if slow == nil {
		return false
	}
	r.handOffToGoroutine(func() {
		r.runSlow(slow, rest)
		b.release()
	})
	return true
}

// handOffToGoroutine takes the connection away from the poller. A new goroutine calls do, reads the bytes that a *tls.Conn
// holds, and returns the connection to the poller.
func (r *reader) handOffToGoroutine(do func()) {
	_ = r.conn.raw.pollRead(false) // removal does not fail
	go func() {
		do()
		b := newBuffer()
		defer b.release()
		for !r.readDone && r.isWrapped() {
			n, err := r.conn.nc.Read(b.data[:])
			if n > 0 {
				r.runSlow(r.feed(b.data[:n]))
			}
			if isWouldBlock(err) {
				break
			}
			r.readDone = r.readDone || err != nil
		}
		r.resumePolling()
	}()
}

// runSlow runs slow and feeds rest, both as returned by feed, until all bytes are handled. It may block.
func (r *reader) runSlow(slow func(), rest []byte) {
	for slow != nil {
		r.runRecovered(slow)
		slow, rest = r.feed(rest)
	}
}

// closeFromPoller ends the reader, for callers in the poller's goroutine. It starts a goroutine only if ending the reader
// may block.
func (r *reader) closeFromPoller() {
	_ = r.conn.raw.pollRead(false) // removal does not fail
	r.readDone = true
	r.stopStallTimer()
	if !r.peer.TryClose(r.done) {
		go r.finish()
		return
	}
	r.conn.raw.releaseFromPoller(r.untrack)
}

// finish ends the reader after its last read. It may block.
func (r *reader) finish() {
	defer r.untrack()
	r.stopStallTimer()
	r.done()
	r.peer.Close()
	r.conn.release()
}

// isWouldBlock reports whether a read failed only because no bytes have arrived.
func isWouldBlock(err error) bool { return errors.Is(err, errWouldBlock) }
