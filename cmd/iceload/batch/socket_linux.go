package batch

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Options describe a socket.
type Options struct {
	// Local is the address to bind to. Port 0 means any free port.
	Local netip.AddrPort
	// Remote, if valid, is the address to connect to. A connected socket sends to and receives from
	// this address only.
	Remote netip.AddrPort
	// Shared binds to the port of Local on all IPv4 addresses, so that the socket can represent
	// many of them.
	Shared bool
	// FreeBind allows a Local address that no interface has. A whole IPv6 prefix can be routed to
	// this host (ip -6 route add local PREFIX dev lo), as 127.0.0.0/8 is by default.
	FreeBind bool
	// Coalesce lets the kernel join consecutive datagrams into one message (UDP_GRO).
	Coalesce bool
	// Buffer is the size of the kernel's buffer in each direction, in bytes; 0 keeps the default.
	// Without privileges the kernel's own limit applies.
	Buffer int
}

// Socket is a nonblocking UDP socket.
type Socket struct {
	fd    int
	local netip.AddrPort
}

// Open opens a socket.
func Open(o Options) (*Socket, error) {
	family := unix.AF_INET6
	if o.Local.Addr().Is4() {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &Socket{fd: fd}
	if err := s.configure(o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Socket) configure(o Options) error {
	s.setBuffers(o.Buffer)
	if err := s.setOption("SO_TIMESTAMPNS", unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return err
	}
	local := o.Local
	if o.Shared {
		local = netip.AddrPortFrom(netip.IPv4Unspecified(), local.Port())
		if err := s.setOption("IP_PKTINFO", unix.IPPROTO_IP, unix.IP_PKTINFO, 1); err != nil {
			return err
		}
	}
	if o.Coalesce {
		if err := s.setOption("UDP_GRO", unix.IPPROTO_UDP, unix.UDP_GRO, 1); err != nil {
			return err
		}
	}
	if o.FreeBind && local.Addr().Is6() {
		if err := s.setOption("IPV6_FREEBIND", unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1); err != nil {
			return err
		}
	}
	if err := unix.Bind(s.fd, sockaddr(local)); err != nil {
		return fmt.Errorf("bind %v: %w", local, os.NewSyscallError("bind", err))
	}
	if o.Remote.IsValid() {
		if err := unix.Connect(s.fd, sockaddr(o.Remote)); err != nil {
			return fmt.Errorf("connect to %v: %w", o.Remote, os.NewSyscallError("connect", err))
		}
	}
	name, err := unix.Getsockname(s.fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	s.local = addrPort(name)
	return nil
}

func (s *Socket) setOption(name string, level, option, value int) error {
	if err := unix.SetsockoptInt(s.fd, level, option, value); err != nil {
		return fmt.Errorf("set %s: %w", name, os.NewSyscallError("setsockopt", err))
	}
	return nil
}

// setBuffers asks the kernel for buffers of n bytes. It ignores errors, because the kernel may
// grant less.
func (s *Socket) setBuffers(n int) {
	if n == 0 {
		return
	}
	for force, plain := range map[int]int{
		unix.SO_RCVBUFFORCE: unix.SO_RCVBUF,
		unix.SO_SNDBUFFORCE: unix.SO_SNDBUF,
	} {
		if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, force, n) != nil {
			_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, plain, n)
		}
	}
}

// FD returns the file descriptor, for a [Poller].
func (s *Socket) FD() int { return s.fd }

// Local returns the address that the socket is bound to, which is 0.0.0.0 for a shared one.
func (s *Socket) Local() netip.AddrPort { return s.local }

// Close closes the socket.
func (s *Socket) Close() error { return os.NewSyscallError("close", unix.Close(s.fd)) }

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func addrPort(s unix.Sockaddr) netip.AddrPort {
	switch s := s.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(s.Addr), uint16(s.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(s.Addr), uint16(s.Port))
	}
	return netip.AddrPort{}
}
