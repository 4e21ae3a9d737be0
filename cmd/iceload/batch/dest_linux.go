package batch

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Room for the control messages of one datagram.
const (
	pktinfoSize = unix.SizeofInet4Pktinfo
	controlSize = 128
)

// Dest is where datagrams of a [Writer] go to and leave from, in the kernel's form. It is
// made once for each flow, and must not be copied or changed once it has been used.
type Dest struct {
	control           [controlSize]byte
	name              [unix.SizeofSockaddrInet6]byte
	nameLen           uint32
	sourceControlLen  int // bytes of control that name the source
	segmentControlLen int // and of those and UDP_SEGMENT
	segmentSize       int // of the datagrams that may be handed over as one, 0 for none
}

// NewDest returns the way to the address to: through a connected socket if to is not
// valid. from is the source address on a shared socket, and not valid on others. segment,
// if above 0, is the size of the datagrams that may be handed over as one.
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

// putSockaddr writes a as the kernel reads it and returns the length.
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

// getSockaddr reads what the kernel wrote.
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

// putControl writes the header of a control message with size bytes of data at
// the front of b, and returns the room for the data.
func putControl(b []byte, level, typ int32, size int) []byte {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(size))
	return b[unix.CmsgLen(0):unix.CmsgLen(size)]
}
