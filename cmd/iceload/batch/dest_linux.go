package batch

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sizes of control messages: of IP_PKTINFO's data, and of the buffer for all control messages of
// one datagram.
const (
	pktinfoSize = unix.SizeofInet4Pktinfo
	controlSize = 128
)

// Dest holds the destination and source addresses of datagrams that a [Writer] sends, encoded for
// the kernel. Callers create one per flow. A Dest must not be copied or changed after its first
// use, because the Writer passes pointers into it to the kernel.
type Dest struct {
	control           [controlSize]byte
	name              [unix.SizeofSockaddrInet6]byte
	nameLen           uint32
	sourceControlLen  int // length of the control messages that set the source
	segmentControlLen int // length of those and UDP_SEGMENT
	segmentSize       int // of the datagrams that may be sent as one message; 0 if none may
}

// NewDest returns a Dest for datagrams to the address to, or to the socket's remote address if to
// is not valid. On a shared socket, from is the source address; on other sockets it must not be
// valid. If segment is above 0, datagrams of that many bytes may be sent as one message.
func NewDest(to netip.AddrPort, from netip.Addr, segment int) *Dest {
	d := &Dest{segmentSize: segment}
	if to.IsValid() {
		d.nameLen = putSockaddr(&d.name, to)
	}
	if from.IsValid() {
		data := putControl(d.control[:], unix.IPPROTO_IP, unix.IP_PKTINFO, pktinfoSize)
		source := from.As4()
		copy(data[4:], source[:]) // ipi_spec_dst
		d.sourceControlLen = unix.CmsgSpace(pktinfoSize)
	}
	d.segmentControlLen = d.sourceControlLen
	if segment > 0 {
		data := putControl(d.control[d.sourceControlLen:], unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
		binary.NativeEndian.PutUint16(data, uint16(segment))
		d.segmentControlLen += unix.CmsgSpace(2)
	}
	return d
}

// putSockaddr encodes a as a sockaddr and returns its length.
func putSockaddr(b *[unix.SizeofSockaddrInet6]byte, a netip.AddrPort) uint32 {
	binary.BigEndian.PutUint16(b[2:], a.Port())
	if a.Addr().Is4() {
		binary.NativeEndian.PutUint16(b[:], unix.AF_INET)
		ip := a.Addr().As4()
		copy(b[4:], ip[:])
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(b[:], unix.AF_INET6)
	ip := a.Addr().As16()
	copy(b[8:], ip[:])
	return unix.SizeofSockaddrInet6
}

// getSockaddr decodes a sockaddr.
func getSockaddr(b *[unix.SizeofSockaddrInet6]byte) netip.AddrPort {
	port := binary.BigEndian.Uint16(b[2:])
	switch binary.NativeEndian.Uint16(b[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])), port)
	}
	return netip.AddrPort{}
}

// putControl writes the header of a control message at the start of b and returns the part of b
// that its size bytes of data go into.
func putControl(b []byte, level, typ int32, size int) []byte {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(size))
	return b[unix.CmsgLen(0):unix.CmsgLen(size)]
}
