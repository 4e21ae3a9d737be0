package turnserver

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"icebox/turnserver/packetio"
)

// sinkSize is how many bytes a sink may keep: what an outbox holds, and what TLS adds to it.
const sinkSize = 2 * outboxSize

var errBehind = errors.New("client reads too slowly")

// sink is a connection whose writes do not wait once it is told so: what the kernel does
// not take at once is kept for drain.
type sink struct {
	net.Conn
	raw syscall.RawConn // nil: the kernel is never asked directly

	mu      sync.Mutex
	ready   bool
	rest    []byte // not yet taken by the kernel
	in      []byte // of attempt, and what comes of it
	taken   int
	err     error
	attempt func(fd uintptr) bool // made once
}

func newSink(c net.Conn) *sink {
	s := &sink{Conn: c, raw: rawStream(c)}
	s.attempt = func(fd uintptr) bool {
		s.taken, s.err = packetio.Transmit(fd, s.in)
		return true
	}
	return s
}

// rawStream returns the socket of c, if the system can do without the net package; nil if not.
func rawStream(c net.Conn) syscall.RawConn {
	t, ok := c.(*net.TCPConn)
	if !ok || !packetio.DirectStreams {
		return nil
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return nil // it is closed
	}
	return raw
}

// hurry has writes wait no more.
func (s *sink) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
}

// Write implements net.Conn.
func (s *sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready {
		return s.Conn.Write(b)
	}
	n := 0
	if len(s.rest) == 0 && s.raw != nil {
		s.in = b
		if err := errors.Join(s.raw.Write(s.attempt), s.err); err != nil {
			return 0, err
		}
		n, s.in = s.taken, nil
	}
	if len(s.rest)+len(b)-n > sinkSize {
		return n, errBehind
	}
	s.rest = append(s.rest, b[n:]...)
	return len(b), nil
}

// behind tells whether something is to be drained.
func (s *sink) behind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rest) > 0
}

// drain waits until the kernel has taken everything. One goroutine at a time may call it.
func (s *sink) drain() error {
	for {
		s.mu.Lock()
		chunk := s.rest[:min(len(s.rest), writeChunk)]
		if len(chunk) == 0 {
			s.rest = nil
			s.mu.Unlock()
			return s.SetWriteDeadline(time.Time{})
		}
		s.mu.Unlock()
		if err := s.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		n, err := s.Conn.Write(chunk)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.rest = s.rest[n:]
		s.mu.Unlock()
	}
}
