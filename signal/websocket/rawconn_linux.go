package websocket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// readHandler is whom the poller tells that something has come, perhaps the end. It is told again when more has come than it
// found. It reports whether it took the buffer.
type readHandler interface {
	onReadable(b *buffer, ends bool) (taken bool)
}

// rawConn is a TCP connection outside of Go's poller, under TLS or not. Reading and writing never wait: what the
// kernel doesn't take is kept, and flush waits for it to be taken.
type rawConn struct {
	local, remote net.Addr
	poller        *poller
	handler       readHandler
	fd            int // not closed before free

	// The poller's.
	wantRead, wantWrite bool // what is waited for
	deregistered        bool

	mu       sync.Mutex
	closed   bool // shut down
	unsent   []byte
	writable chan struct{} // has room for one
}

// maxUnsent is how much of what was kept may wait for more to be kept. Only one message waits at a time, but package tls
// answers a client's wish for new keys as often as that likes.
const maxUnsent = 1 << 20

var errUnsent = errors.New("too much waits to be written")

// errWouldBlock says that nothing has come. To package tls it is an error that passes.
var errWouldBlock net.Error = wouldBlock{}

type wouldBlock struct{}

func (wouldBlock) Error() string   { return "nothing has come" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

// newRawConn makes a raw connection of a connection, which is closed.
func newRawConn(c *net.TCPConn) (*rawConn, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	w, err := dupRawConn(raw, c.LocalAddr(), c.RemoteAddr())
	if err == nil {
		_ = c.Close() // the copy stays
	}
	return w, err
}

// dupRawConn makes a raw connection of a copy of a socket.
func dupRawConn(raw syscall.RawConn, local, remote net.Addr) (w *rawConn, err error) {
	w = &rawConn{local: local, remote: remote}
	if w.poller, err = acquirePoller(); err != nil {
		return nil, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		w.fd, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		w.poller.release()
		return nil, os.NewSyscallError("dup", err)
	}
	return w, nil
}

// Read implements net.Conn. Only who reads for the reader calls it.
func (c *rawConn) Read(p []byte) (int, error) {
	for {
		n, err := recvNow(c.fd, p)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return 0, errWouldBlock
		case err != nil:
			return 0, os.NewSyscallError("recv", err)
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// Write implements net.Conn. It takes everything, and keeps what can't be sent now.
func (c *rawConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	if len(c.unsent) > maxUnsent {
		return 0, errUnsent
	}
	if len(c.unsent) > 0 {
		c.unsent = append(c.unsent, p...)
		return len(p), nil
	}
	n, err := c.send(p)
	if err != nil {
		return n, err
	}
	if n < len(p) {
		c.unsent = append(c.unsent, p[n:]...)
	}
	return len(p), nil
}

// send hands to the kernel what it takes. The caller holds mu.
func (c *rawConn) send(p []byte) (sent int, err error) {
	for sent < len(p) {
		n, err := sendNow(c.fd, p[sent:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return sent, nil
		case err != nil:
			return sent, os.NewSyscallError("send", err)
		}
		sent += n
	}
	return sent, nil
}

// idle reports whether everything has been sent.
func (c *rawConn) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.unsent) == 0
}

// flush waits until everything has been sent.
func (c *rawConn) flush(deadline time.Time) error {
	done, err := c.sendUnsent()
	if done || err != nil {
		return err
	}
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	for {
		if err := c.poller.setWanted(c, &c.wantWrite, true); err != nil {
			return err
		}
		select {
		case <-c.writable:
		case <-t.C:
			return os.ErrDeadlineExceeded
		}
		if done, err = c.sendUnsent(); done || err != nil {
			return err
		}
	}
}

// sendUnsent sends what is kept, and reports whether that was all of it.
func (c *rawConn) sendUnsent() (done bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.unsent) == 0 {
		return true, nil
	}
	if c.closed {
		return false, net.ErrClosed
	}
	n, err := c.send(c.unsent)
	if c.unsent = c.unsent[n:]; len(c.unsent) == 0 {
		c.unsent = nil
		return true, err
	}
	if c.writable == nil {
		c.writable = make(chan struct{}, 1)
	}
	return false, err
}

// wakeFlush tells who waits in flush to try again. The caller holds mu.
func (c *rawConn) wakeFlush() {
	select {
	case c.writable <- struct{}{}:
	default:
	}
}

// Close implements net.Conn: it shuts the connection down, so that whoever reads or writes finds out.
func (c *rawConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		shutdownNow(c.fd) // fails where the other side was faster
		c.wakeFlush()
	}
	return nil
}

// pollRead says whether the reader wants to read.
func (c *rawConn) pollRead(on bool) error { return c.poller.setWanted(c, &c.wantRead, on) }

// release gives the file descriptor back, when nobody reads any more.
func (c *rawConn) release() {
	c.closeFD()
	c.poller.release()
}

// releaseFromPoller is free for the poller's own goroutine. It calls exited, or the goroutine does so as the last thing it does.
func (c *rawConn) releaseFromPoller(exited func()) {
	c.closeFD()
	c.poller.releaseFromLoop(exited)
}

func (c *rawConn) closeFD() {
	c.poller.deregister(c)
	c.mu.Lock()
	c.closed = true
	closeNow(c.fd)
	c.wakeFlush()
	c.mu.Unlock()
}

// LocalAddr implements net.Conn.
func (c *rawConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *rawConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn; nothing here waits.
func (c *rawConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (c *rawConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (c *rawConn) SetWriteDeadline(time.Time) error { return nil }
