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

// readHandler reads a socket when the poller reports that it is readable.
type readHandler interface {
	// onReadable runs in the poller's goroutine and must not block. hungUp means that the other side has closed the
	// connection, or that the connection has failed, so reading reaches the end or an error. onReadable may read into b,
	// and reports whether it keeps b. Events are edge-triggered: onReadable is called again only when more bytes have
	// arrived, so it has to read until the socket is empty.
	onReadable(b *buffer, hungUp bool) (tookBuffer bool)
}

// rawConn is a socket outside of Go's netpoller. It is a TCP connection, perhaps with a *tls.Conn around it, or the
// listening socket of an upgradeListener. Read and Write never block. Write keeps the bytes that the kernel does not accept
// in unsent, and flush blocks until they are sent.
type rawConn struct {
	local, remote net.Addr
	poller        *poller
	handler       readHandler
	fd            int // closed only by release, releaseFromPoller and pendingConn.handToServer

	// Guarded by poller.mu.
	wantRead, wantWrite bool // the events that fd is registered for
	deregistered        bool // no event can be registered any more

	mu       sync.Mutex
	closed   bool // shut down, or fd has been closed or handed over
	unsent   []byte
	writable chan struct{} // wakes flush up; has a capacity of 1; sendUnsent makes it when bytes are left
}

// maxUnsent is the number of unsent bytes above which Write fails. The hub flushes a message before it writes the next one.
// But crypto/tls also writes records on its own, such as its response to a key update (RFC 8446 section 4.6.3), and the
// client decides how many.
const maxUnsent = 1 << 20

var errUnsent = errors.New("more than 1 MiB of unsent bytes")

// errWouldBlock means that no bytes have arrived. It is a temporary net.Error, because after any other read error crypto/tls
// fails all later reads.
var errWouldBlock net.Error = wouldBlock{}

type wouldBlock struct{}

func (wouldBlock) Error() string   { return "no data available" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

// newRawConn takes a connection out of Go's netpoller. It closes c, of which only the duplicated descriptor stays open. If
// it fails, c is still usable.
func newRawConn(c *net.TCPConn) (*rawConn, error) {
	sc, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	raw, err := dupRawConn(sc, c.LocalAddr(), c.RemoteAddr())
	if err == nil {
		_ = c.Close()
	}
	return raw, err
}

// dupRawConn returns a rawConn for a duplicate of the descriptor of sc, which stays open. The caller has to release it.
func dupRawConn(sc syscall.RawConn, local, remote net.Addr) (*rawConn, error) {
	p, err := acquirePoller()
	if err != nil {
		return nil, err
	}
	raw := &rawConn{local: local, remote: remote, poller: p}
	var dupErr error
	err = sc.Control(func(fd uintptr) {
		raw.fd, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil {
		err = dupErr
	}
	if err != nil {
		p.release()
		return nil, os.NewSyscallError("dup", err)
	}
	return raw, nil
}

// Read implements [net.Conn], except that it returns errWouldBlock instead of waiting. Only the goroutine that runs the
// reader or the readHandler may call it.
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

// Write implements [net.Conn], except that it does not wait: bytes that cannot be sent now are kept and count as written.
// They are sent by flush.
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

// send hands as much of p to the kernel as the kernel accepts now, and returns the number of bytes. The caller holds mu.
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

// allSent reports whether the kernel has accepted all bytes that were written.
func (c *rawConn) allSent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.unsent) == 0
}

// flush blocks until the kernel has accepted all bytes that were written. It fails with [os.ErrDeadlineExceeded] at the
// deadline, and with [net.ErrClosed] if the connection is closed. One goroutine at a time may call it.
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

// sendUnsent sends unsent bytes without blocking, and reports whether none are left.
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

// wakeFlush makes a waiting flush try again. The caller holds mu.
func (c *rawConn) wakeFlush() {
	select {
	case c.writable <- struct{}{}:
	default:
	}
}

// Close implements [net.Conn]. It shuts the connection down in both directions, so that the reader and flush notice. The
// descriptor stays open until release, because another goroutine may be using it.
func (c *rawConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		shutdownNow(c.fd)
		c.wakeFlush()
	}
	return nil
}

// pollRead starts or stops calls of handler.onReadable. Starting it causes a call if bytes have arrived already.
func (c *rawConn) pollRead(on bool) error { return c.poller.setWanted(c, &c.wantRead, on) }

// release closes the descriptor. Nothing may read c any more. If c was the last user of the poller, release waits for the
// poller's goroutine, which therefore must call releaseFromPoller instead.
func (c *rawConn) release() {
	c.closeFD()
	c.poller.release()
}

// releaseFromPoller is release for callers in the poller's goroutine. It calls exited: at once, or, if the goroutine has to
// exit because this was its last connection, as the last thing that the goroutine does.
func (c *rawConn) releaseFromPoller(exited func()) {
	c.closeFD()
	c.poller.releaseFromOwnGoroutine(exited)
}

// closeFD closes the descriptor. It holds mu for that, because Write and Close must not use a descriptor that may belong to
// another connection.
func (c *rawConn) closeFD() {
	c.poller.deregister(c)
	c.mu.Lock()
	c.closed = true
	closeNow(c.fd)
	c.wakeFlush()
	c.mu.Unlock()
}

// LocalAddr implements [net.Conn].
func (c *rawConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements [net.Conn].
func (c *rawConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements [net.Conn]. It has no effect, because Read and Write do not block.
func (c *rawConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements [net.Conn]. It has no effect.
func (c *rawConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements [net.Conn]. It has no effect.
func (c *rawConn) SetWriteDeadline(time.Time) error { return nil }
