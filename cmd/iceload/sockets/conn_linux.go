package sockets

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// dialTimeout limits connecting, and each wait for input during a TLS handshake.
const dialTimeout = 10 * time.Second

// nonblockingConn is a nonblocking TCP connection that implements net.Conn for crypto/tls. Read
// returns os.ErrDeadlineExceeded where it would block, unless blocking is set. Write appends to
// pending, and flush sends it.
type nonblockingConn struct {
	fd       int
	blocking bool
	pending  []byte
}

// dial connects to server. If source is valid, it is the local address.
func dial(server netip.AddrPort, source netip.Addr) (*nonblockingConn, error) {
	family := unix.AF_INET6
	if server.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c := &nonblockingConn{fd: fd}
	if err := c.connect(server, source); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to %v: %w", server, err), c.Close())
	}
	return c, nil
}

func (c *nonblockingConn) connect(server netip.AddrPort, source netip.Addr) error {
	if source.IsValid() {
		// Let the kernel choose the port when it knows the destination, so that each source address
		// can use the full range of ports for each server.
		_ = unix.SetsockoptInt(c.fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(c.fd, sockaddr(netip.AddrPortFrom(source, 0))); err != nil {
			return os.NewSyscallError("bind", err)
		}
	}
	if err := unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	err := unix.Connect(c.fd, sockaddr(server))
	if err == nil || !errors.Is(err, unix.EINPROGRESS) {
		return os.NewSyscallError("connect", err)
	}
	if err := c.waitFor(unix.POLLOUT); err != nil {
		return err
	}
	status, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && status != 0 {
		err = unix.Errno(status)
	}
	return os.NewSyscallError("connect", err)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// waitFor blocks until an event of poll(2) occurs.
func (c *nonblockingConn) waitFor(event int16) error {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: event}}, int(dialTimeout/time.Millisecond))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return os.NewSyscallError("poll", err)
		case n == 0:
			return os.ErrDeadlineExceeded
		default:
			return nil
		}
	}
}

func (c *nonblockingConn) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(c.fd, b)
		switch {
		case err == nil && n > 0:
			return n, nil
		case err == nil:
			return 0, io.EOF
		case errors.Is(err, unix.EINTR):
		case !errors.Is(err, unix.EAGAIN):
			return 0, os.NewSyscallError("read", err)
		case !c.blocking:
			return 0, os.ErrDeadlineExceeded
		default:
			if err := c.waitFor(unix.POLLIN); err != nil {
				return 0, err
			}
		}
	}
}

// Write accepts all of b without blocking. While blocking is set, it also calls flush.
func (c *nonblockingConn) Write(b []byte) (int, error) {
	c.pending = append(c.pending, b...)
	if c.blocking {
		return len(b), c.flush()
	}
	return len(b), nil
}

// flush sends as much of pending as the kernel accepts.
func (c *nonblockingConn) flush() error {
	sent := 0
	for sent < len(c.pending) {
		n, err := unix.Write(c.fd, c.pending[sent:])
		switch {
		case err == nil:
			sent += n
		case errors.Is(err, unix.EINTR):
		case !errors.Is(err, unix.EAGAIN):
			c.pending = c.pending[:0]
			return os.NewSyscallError("write", err)
		default:
			c.pending = c.pending[:copy(c.pending, c.pending[sent:])]
			return nil
		}
	}
	c.pending = c.pending[:0]
	return nil
}

func (c *nonblockingConn) Close() error { return os.NewSyscallError("close", unix.Close(c.fd)) }

// crypto/tls does not use the remaining methods of net.Conn here.

func (c *nonblockingConn) LocalAddr() net.Addr              { return nil }
func (c *nonblockingConn) RemoteAddr() net.Addr             { return nil }
func (c *nonblockingConn) SetDeadline(time.Time) error      { return nil }
func (c *nonblockingConn) SetReadDeadline(time.Time) error  { return nil }
func (c *nonblockingConn) SetWriteDeadline(time.Time) error { return nil }
