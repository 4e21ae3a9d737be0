package packetio

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockaddr is an IPv4 or IPv6 socket address as the kernel reads and writes it.
type sockaddr struct {
	raw  unix.RawSockaddrInet6
	size uint32
}

// set stores a, and the size of its structure in size. The port is at the same offset in both structures, in network byte
// order.
func (s *sockaddr) set(a netip.AddrPort) {
	port := (*[2]byte)(unsafe.Pointer(&s.raw.Port))
	binary.BigEndian.PutUint16(port[:], a.Port())
	if a.Addr().Is4() {
		s.raw.Family = unix.AF_INET
		(*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw)).Addr = a.Addr().As4()
		s.size = unix.SizeofSockaddrInet4
		return
	}
	s.raw.Family = unix.AF_INET6
	s.raw.Flowinfo, s.raw.Scope_id = 0, 0
	s.raw.Addr = a.Addr().As16()
	s.size = unix.SizeofSockaddrInet6
}

// get returns the address. An IPv4 address that is mapped into IPv6 is returned as IPv4.
func (s *sockaddr) get() netip.AddrPort {
	port := (*[2]byte)(unsafe.Pointer(&s.raw.Port))
	var ip netip.Addr
	if s.raw.Family == unix.AF_INET {
		ip = netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw)).Addr)
	} else {
		ip = netip.AddrFrom16(s.raw.Addr).Unmap()
	}
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(port[:]))
}

func (s *sockaddr) pointer() *byte { return (*byte)(unsafe.Pointer(&s.raw)) }
