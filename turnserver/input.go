package turnserver

import (
	"net"
	"sync"
	"syscall"

	"icebox/turnserver/packetio"
)

const (
	// streamBuffer is the buffer of a connection that has one of its own, and what is read
	// at once from a stranger: its answers fit into its outbox.
	streamBuffer = 4096
	// inputSize is how much is read at once into a buffer that is borrowed.
	inputSize = 32 << 10
	// inputKeep is the longest buffer for uncut bytes that a connection keeps.
	inputKeep = 2048
)

// input holds what was read from a stream and not yet cut into messages. Where the system
// allows it, the buffer is borrowed when there is something to read: a stream that waits holds none.
type input struct {
	conn       net.Conn
	buf        []byte // with headroom and tailroom
	start, end int    // of the uncut bytes

	raw      syscall.RawConn // nil: conn is read, into a buffer of its own
	need     int
	most     int // that is read at once, unless the next message needs more
	borrowed *[]byte
	held     []byte // uncut bytes while nothing is borrowed
	err      error
	attempt  func(fd uintptr) bool // made once
}

var inputs = sync.Pool{New: func() any {
	b := make([]byte, packetio.Headroom+inputSize+packetio.Tailroom)
	return &b
}}

func newInput(c net.Conn) *input {
	in := &input{conn: c, start: packetio.Headroom, end: packetio.Headroom}
	if s, ok := c.(*sink); ok {
		in.raw = s.raw
	}
	if in.raw == nil {
		in.buf = make([]byte, packetio.Headroom+streamBuffer+packetio.Tailroom)
	}
	in.attempt = in.receive
	return in
}

func (in *input) size() int     { return in.end - in.start }
func (in *input) bytes() []byte { return in.buf[in.start:in.end] }

// fill waits for more bytes. It reads most of them at once, where it borrows its buffer; need is how
// many the next message has, as far as is known.
func (in *input) fill(need, most int) error {
	in.need, in.most = need, most
	if in.raw != nil {
		if err := in.raw.Read(in.attempt); err != nil {
			return err
		}
		return in.err
	}
	in.makeRoom()
	n, err := in.conn.Read(in.buf[in.end : len(in.buf)-packetio.Tailroom])
	in.end += n
	return err
}

// makeRoom moves the uncut bytes to the front of the buffer, or to a longer one, if
// there is no room for the whole message.
func (in *input) makeRoom() {
	const front, tail = packetio.Headroom, packetio.Tailroom
	if in.start+in.need+tail <= len(in.buf) && in.end < len(in.buf)-tail {
		return
	}
	to := in.buf
	if front+in.need+tail > len(in.buf) {
		to = make([]byte, front+in.need+tail)
	}
	n := copy(to[front:], in.bytes())
	in.buf, in.start, in.end = to, front, front+n
}

// receive is what raw runs whenever there may be something to read.
func (in *input) receive(fd uintptr) (done bool) {
	borrowed := inputs.Get().(*[]byte)
	buf := *borrowed
	if least := packetio.Headroom + in.need + packetio.Tailroom; least > len(buf) {
		buf = make([]byte, least)
	}
	at := packetio.Headroom + len(in.held)
	end := min(len(buf)-packetio.Tailroom, packetio.Headroom+max(in.need, in.most))
	n, again, err := packetio.Receive(fd, buf[at:end])
	if again {
		inputs.Put(borrowed)
		return false
	}
	copy(buf[packetio.Headroom:], in.held)
	in.borrowed, in.buf, in.start, in.end, in.err = borrowed, buf, packetio.Headroom, at+n, err
	return true
}

// settle gives a borrowed buffer back and keeps the uncut bytes.
func (in *input) settle() {
	if in.borrowed == nil {
		return
	}
	if cap(in.held) > inputKeep {
		in.held = nil
	}
	in.held = append(in.held[:0], in.bytes()...)
	inputs.Put(in.borrowed)
	in.borrowed, in.buf, in.start, in.end = nil, nil, packetio.Headroom, packetio.Headroom+len(in.held)
}
