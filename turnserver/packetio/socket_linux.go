package packetio

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket implements Socket. Its descriptor is non-blocking.
type socket struct {
	lane     *lane
	receiver Receiver
	local    netip.AddrPort
	fd       int
	longest  int
	slot     int32 // in the table of the lane, guarded by its mu
	expect   int32 // how many datagrams to read at once; used by the loop that serves the lane
	// uses counts the uses of fd: 1 until Close, 1 for a reader, 1 for each writer. At 0 fd is closed.
	uses   atomic.Int32
	closed atomic.Bool
	// The socket sends datagrams of maxSegment bytes or more singly, not in runs. 0 means that the kernel has not
	// refused a run yet.
	maxSegment atomic.Int32
}

// acquire keeps fd open until release. It returns false if fd is closed.
func (s *socket) acquire() bool {
	for {
		n := s.uses.Load()
		if n == 0 {
			return false
		}
		if s.uses.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (s *socket) release() {
	if s.uses.Add(-1) == 0 {
		_ = unix.Close(s.fd) // closing a UDP socket loses nothing
		s.receiver.Closed()
	}
}

// Close implements Socket.
func (s *socket) Close() error {
	if s.closed.Swap(true) {
		return net.ErrClosed
	}
	s.lane.unregister(s)
	s.release()
	return nil
}

// Start implements Socket.
func (s *socket) Start() error { return s.lane.register(s) }

func (s *socket) LocalAddr() netip.AddrPort { return s.local }
func (s *socket) Worker() int               { return s.lane.index }

// Send implements Socket.
func (s *socket) Send(p *Packet) {
	if p.batch != nil && s.local.Addr().Is4() == p.Addr.Addr().Is4() {
		p.batch.add(s, p)
		return
	}
	if !s.acquire() {
		s.receiver.Lost(1)
		return
	}
	defer s.release()
	if p.DontFragment {
		defer s.dontFragment()()
	}
	if !s.sendOne(p.Payload(), p.Addr) {
		s.receiver.Lost(1)
	}
}

// dontFragment sets the DF bit of datagrams sent from now on. undo clears it again.
func (s *socket) dontFragment() (undo func()) {
	_ = setDontFragment(s.fd, s.local.Addr().Is4(), true) // the server refuses DONT-FRAGMENT at Allocate if this can fail
	return func() { _ = setDontFragment(s.fd, s.local.Addr().Is4(), false) }
}

// sendOne sends one datagram with one system call and reports whether the kernel accepted it.
func (s *socket) sendOne(b []byte, to netip.AddrPort) bool {
	var a sockaddr
	a.set(to)
	var empty byte
	data := unsafe.Pointer(&empty)
	if len(b) > 0 {
		data = unsafe.Pointer(&b[0])
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(data), uintptr(len(b)), 0,
		uintptr(unsafe.Pointer(&a.raw)), uintptr(a.size))
	return errno == 0
}

// open returns a non-blocking socket bound to addr, or to any free port if the port of addr is 0.
func open(addr netip.AddrPort) (fd int, local netip.AddrPort, err error) {
	family := unix.AF_INET6
	if addr.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, addr, err
	}
	if err = bind(fd, addr); err == nil && addr.Port() == 0 {
		addr, err = boundTo(fd, addr.Addr())
	}
	if err != nil {
		_ = unix.Close(fd) // it was never used
		return -1, addr, err
	}
	return fd, addr, nil
}

func boundTo(fd int, ip netip.Addr) (netip.AddrPort, error) {
	a, err := unix.Getsockname(fd)
	port := 0
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		port = a.Port
	case *unix.SockaddrInet6:
		port = a.Port
	}
	return netip.AddrPortFrom(ip, uint16(port)), err
}

func bind(fd int, addr netip.AddrPort) error {
	if addr.Addr().Is4() {
		return unix.Bind(fd, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()})
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()})
}

// takeDescriptor returns a descriptor of c's socket, enlarges the socket's buffers, and closes c.
func takeDescriptor(c *net.UDPConn) (fd int, err error) {
	defer c.Close() //nolint:errcheck // the duplicate descriptor stays open
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, failed := -1, error(nil)
	err = raw.Control(func(old uintptr) { fd, failed = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil || failed != nil {
		return -1, errors.Join(err, failed)
	}
	for _, o := range [][2]int{{unix.SO_RCVBUF, unix.SO_RCVBUFFORCE}, {unix.SO_SNDBUF, unix.SO_SNDBUFFORCE}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[1], clientBuffer) != nil { // needs CAP_NET_ADMIN
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], clientBuffer) // as much as the system allows
		}
	}
	return fd, nil
}
