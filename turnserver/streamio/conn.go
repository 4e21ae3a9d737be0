package streamio

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"icebox/turnserver/packetio"
)

// maxUnwritten is the greatest number of bytes that a Conn keeps. A full queue and the overhead of TLS fit.
const maxUnwritten = 2 * QueueSize

var errTooSlow = errors.New("client reads too slowly")

// Conn is a connection whose writes do not block after SetNonblocking. It keeps up to 512 KiB that the kernel does not
// accept at once, until drain writes them. A write beyond that fails.
type Conn struct {
	net.Conn
	raw syscall.RawConn // nil: writes never go to the kernel directly

	mu          sync.Mutex
	nonblocking bool
	unwritten   []byte // bytes that Write has accepted and the kernel has not
	// The arguments and results of tryTransmit.
	out         []byte
	accepted    int
	err         error
	tryTransmit func(fd uintptr) bool // made once
}

// NewConn returns a Conn over c. Its writes block, as TLS handshakes need, until SetNonblocking is called.
func NewConn(c net.Conn) *Conn {
	s := &Conn{Conn: c, raw: rawConn(c)}
	s.tryTransmit = func(fd uintptr) bool {
		s.accepted, s.err = packetio.Transmit(fd, s.out)
		return true
	}
	return s
}

// rawConn returns the socket of c, or nil if c is not a TCP socket or packetio.Transmit does not work on this system.
func rawConn(c net.Conn) syscall.RawConn {
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

// SetNonblocking makes all writes from now on return at once.
func (s *Conn) SetNonblocking() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nonblocking = true
}

// Write implements net.Conn.
func (s *Conn) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.nonblocking {
		return s.Conn.Write(b)
	}
	n := 0
	if len(s.unwritten) == 0 && s.raw != nil {
		s.out = b
		if err := errors.Join(s.raw.Write(s.tryTransmit), s.err); err != nil {
			return 0, err
		}
		n, s.out = s.accepted, nil
	}
	if len(s.unwritten)+len(b)-n > maxUnwritten {
		return n, errTooSlow
	}
	s.unwritten = append(s.unwritten, b[n:]...)
	return len(b), nil
}

// behind reports whether drain has bytes to write.
func (s *Conn) behind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.unwritten) > 0
}

// drain blocks until the kernel has accepted everything. One goroutine at a time may call it.
func (s *Conn) drain() error {
	for {
		s.mu.Lock()
		chunk := s.unwritten[:min(len(s.unwritten), writeChunk)]
		if len(chunk) == 0 {
			s.unwritten = nil
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
		s.unwritten = s.unwritten[n:]
		s.mu.Unlock()
	}
}
