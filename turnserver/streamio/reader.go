package streamio

import (
	"net"
	"sync"
	"syscall"

	"icebox/turnserver/packetio"
)

const (
	// ReadSize is the greatest number of bytes that Fill reads from a client that has an allocation.
	ReadSize = 32 << 10
	// SmallReadSize is the limit that callers pass to Fill for a client without an allocation, because the replies to
	// that many bytes of requests fit into its queue. It is also the size in bytes of a buffer that does not come from
	// the pool.
	SmallReadSize = 4096
	// A buffer for incomplete messages with a capacity above maxLeftover bytes is freed rather than kept.
	maxLeftover = 2048
)

// Reader holds bytes that were read from a stream and not yet consumed as messages.
//
// Where packetio.DirectStreams is set, the buffer is borrowed from a pool when the socket becomes readable. Elsewhere,
// and for TLS, each Reader has a buffer of its own. A Reader is not safe for concurrent use.
type Reader struct {
	conn       net.Conn
	buf        []byte // with headroom and tailroom
	start, end int    // of the bytes not yet consumed

	raw         syscall.RawConn // nil: read from conn into a buffer of the Reader's own
	need, limit int             // the arguments of Fill
	borrowed    *[]byte         // from readBuffers, nil between Release and the next Fill
	leftover    []byte          // bytes not yet consumed while nothing is borrowed
	err         error
	tryReceive  func(fd uintptr) bool // the method value receive, made once
}

var readBuffers = sync.Pool{New: func() any {
	b := make([]byte, packetio.Headroom+ReadSize+packetio.Tailroom)
	return &b
}}

// NewReader returns a Reader of c, which is a *Conn or a TLS connection over one.
func NewReader(c net.Conn) *Reader {
	r := &Reader{conn: c, start: packetio.Headroom, end: packetio.Headroom}
	if plain, ok := c.(*Conn); ok {
		r.raw = plain.raw
	}
	if r.raw == nil {
		r.buf = make([]byte, packetio.Headroom+SmallReadSize+packetio.Tailroom)
	}
	r.tryReceive = r.receive
	return r
}

// Len returns the number of bytes not yet consumed.
func (r *Reader) Len() int { return r.end - r.start }

// Bytes returns the bytes not yet consumed. They are valid until the next Fill or Release.
func (r *Reader) Bytes() []byte { return r.buf[r.start:r.end] }

// Consume removes the first padded bytes, a message of size bytes and its padding. The message is buf[start:end]; it has
// packetio.Headroom bytes before it and packetio.Tailroom bytes after it that the caller may overwrite, and is valid until
// the next Fill or Release.
func (r *Reader) Consume(size, padded int) (buf []byte, start, end int) {
	start = r.start
	r.start += padded
	return r.buf, start, start + size
}

// Fill blocks until more bytes have been read. need is the length of the next message in bytes, as far as the caller
// knows it: the buffer has room for at least that many. Fill reads at most limit bytes, or need if that is more. limit
// applies only to a buffer from the pool.
func (r *Reader) Fill(need, limit int) error {
	r.need, r.limit = need, limit
	if r.raw != nil {
		if err := r.raw.Read(r.tryReceive); err != nil {
			return err
		}
		return r.err
	}
	r.makeRoom()
	n, err := r.conn.Read(r.buf[r.end : len(r.buf)-packetio.Tailroom])
	r.end += n
	return err
}

// makeRoom ensures that the buffer has room for the whole next message. It moves the bytes not yet consumed to the front
// of the buffer, or into a longer one.
func (r *Reader) makeRoom() {
	const front, tail = packetio.Headroom, packetio.Tailroom
	if r.start+r.need+tail <= len(r.buf) && r.end < len(r.buf)-tail {
		return
	}
	to := r.buf
	if front+r.need+tail > len(r.buf) {
		to = make([]byte, front+r.need+tail)
	}
	n := copy(to[front:], r.Bytes())
	r.buf, r.start, r.end = to, front, front+n
}

// receive borrows a buffer and reads once. raw.Read calls it each time the socket may be readable, until it returns true.
func (r *Reader) receive(fd uintptr) (done bool) {
	borrowed := readBuffers.Get().(*[]byte)
	buf := *borrowed
	if least := packetio.Headroom + r.need + packetio.Tailroom; least > len(buf) {
		buf = make([]byte, least)
	}
	at := packetio.Headroom + len(r.leftover)
	end := min(len(buf)-packetio.Tailroom, packetio.Headroom+max(r.need, r.limit))
	n, again, err := packetio.Receive(fd, buf[at:end])
	if again {
		readBuffers.Put(borrowed)
		return false
	}
	copy(buf[packetio.Headroom:], r.leftover)
	r.borrowed, r.buf, r.start, r.end, r.err = borrowed, buf, packetio.Headroom, at+n, err
	return true
}

// Release returns a borrowed buffer to the pool and copies the bytes not yet consumed out of it. The caller calls it
// before each further Fill.
func (r *Reader) Release() {
	if r.borrowed == nil {
		return
	}
	if cap(r.leftover) > maxLeftover {
		r.leftover = nil
	}
	r.leftover = append(r.leftover[:0], r.Bytes()...)
	readBuffers.Put(r.borrowed)
	r.borrowed, r.buf, r.start, r.end = nil, nil, packetio.Headroom, packetio.Headroom+len(r.leftover)
}
