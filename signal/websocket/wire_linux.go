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

// reader is whom the poller tells that something has come, perhaps the end. It is told again when more has come than it
// found. It reports whether it took the buffer.
type reader interface {
	readable(b *buffer, ends bool) (taken bool)
}

// wire is a TCP connection outside of Go's poller, under TLS or not. Reading and writing never wait: what the
// kernel doesn't take is kept, and flush waits for it to be taken.
type wire struct {
	local, remote net.Addr
	poller        *poller
	reader        reader
	fd            int // not closed before free

	// The poller's.
	in, out bool // what is waited for
	retired bool

	mu       sync.Mutex
	dead     bool // shut down
	rest     []byte
	writable chan struct{} // has room for one
}

// maxRest is how much of what was kept may wait for more to be kept. Only one message waits at a time, but package tls
// answers a client's wish for new keys as often as that likes.
const maxRest = 1 << 20

var errRest = errors.New("too much waits to be written")

// errAgain says that nothing has come. To package tls it is an error that passes.
var errAgain net.Error = again{}

type again struct{}

func (again) Error() string   { return "nothing has come" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

// take makes a wire of a connection, which is closed.
func take(c *net.TCPConn) (*wire, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	w, err := adopt(raw, c.LocalAddr(), c.RemoteAddr())
	if err == nil {
		_ = c.Close() // the copy stays
	}
	return w, err
}

// adopt makes a wire of a copy of a socket.
func adopt(raw syscall.RawConn, local, remote net.Addr) (w *wire, err error) {
	w = &wire{local: local, remote: remote}
	if w.poller, err = enlist(); err != nil {
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
		w.poller.dismiss()
		return nil, os.NewSyscallError("dup", err)
	}
	return w, nil
}

// Read implements net.Conn. Only who reads for the link calls it.
func (w *wire) Read(p []byte) (int, error) {
	for {
		n, err := recvNow(w.fd, p)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return 0, errAgain
		case err != nil:
			return 0, os.NewSyscallError("recv", err)
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// Write implements net.Conn. It takes everything, and keeps what can't be sent now.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return 0, net.ErrClosed
	}
	if len(w.rest) > maxRest {
		return 0, errRest
	}
	if len(w.rest) > 0 {
		w.rest = append(w.rest, p...)
		return len(p), nil
	}
	n, err := w.send(p)
	if err != nil {
		return n, err
	}
	if n < len(p) {
		w.rest = append(w.rest, p[n:]...)
	}
	return len(p), nil
}

// send hands to the kernel what it takes. The caller holds mu.
func (w *wire) send(p []byte) (sent int, err error) {
	for sent < len(p) {
		n, err := sendNow(w.fd, p[sent:])
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
func (w *wire) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.rest) == 0
}

// flush waits until everything has been sent.
func (w *wire) flush(deadline time.Time) error {
	done, err := w.push()
	if done || err != nil {
		return err
	}
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	for {
		if err := w.poller.want(w, &w.out, true); err != nil {
			return err
		}
		select {
		case <-w.writable:
		case <-t.C:
			return os.ErrDeadlineExceeded
		}
		if done, err = w.push(); done || err != nil {
			return err
		}
	}
}

// push sends what is kept, and reports whether that was all of it.
func (w *wire) push() (done bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rest) == 0 {
		return true, nil
	}
	if w.dead {
		return false, net.ErrClosed
	}
	n, err := w.send(w.rest)
	if w.rest = w.rest[n:]; len(w.rest) == 0 {
		w.rest = nil
		return true, err
	}
	if w.writable == nil {
		w.writable = make(chan struct{}, 1)
	}
	return false, err
}

// wake tells who waits in flush to try again. The caller holds mu.
func (w *wire) wake() {
	select {
	case w.writable <- struct{}{}:
	default:
	}
}

// Close implements net.Conn: it shuts the connection down, so that whoever reads or writes finds out.
func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.dead {
		w.dead = true
		shutdownNow(w.fd) // fails where the other side was faster
		w.wake()
	}
	return nil
}

// await says whether the link wants to read.
func (w *wire) await(on bool) error { return w.poller.want(w, &w.in, on) }

// free gives the file descriptor back, when nobody reads any more.
func (w *wire) free() {
	w.shut()
	w.poller.dismiss()
}

// freeHere is free for the poller's own goroutine. It calls left, or the goroutine does so as the last thing it does.
func (w *wire) freeHere(left func()) {
	w.shut()
	w.poller.dismissHere(left)
}

func (w *wire) shut() {
	w.poller.retire(w)
	w.mu.Lock()
	w.dead = true
	closeNow(w.fd)
	w.wake()
	w.mu.Unlock()
}

// LocalAddr implements net.Conn.
func (w *wire) LocalAddr() net.Addr { return w.local }

// RemoteAddr implements net.Conn.
func (w *wire) RemoteAddr() net.Addr { return w.remote }

// SetDeadline implements net.Conn; nothing here waits.
func (w *wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
