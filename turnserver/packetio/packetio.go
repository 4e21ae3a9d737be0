// Package packetio moves datagrams between the kernel and the relay. A [Conn]
// reads and writes batches of [Packet]; each packet has room in front of its payload, so
// that a ChannelData or Data header is written where the payload lies and no
// payload is ever copied.
//
// There is one implementation today, portable, with one datagram a system call and
// so with batches of length one. The interface is what a faster one (recvmmsg,
// UDP_SEGMENT, an epoll loop per core) has to meet.
package packetio

import (
	"net/netip"
)

// Room around the payload of a packet that was read, in bytes.
const (
	// Headroom holds the header of a Data indication from an IPv6 peer, the longest
	// that is written in front of a payload (RFC 8656 section 11.4); ChannelData takes 4 of it.
	Headroom = 48
	// Tailroom holds padding to a multiple of four.
	Tailroom = 3
)

// Packet is a datagram or a frame of a stream in a buffer of its owner's.
type Packet struct {
	// Addr is where a packet that was read came from, and where one that is written goes to.
	Addr netip.AddrPort
	// Buf[Off:End] is the payload.
	Buf      []byte
	Off, End int
	// DontFragment asks that a packet that is written be lost rather than fragmented, where the system can.
	DontFragment bool

	alone []*Packet
}

// NewPacket returns a packet that can hold a payload of size bytes.
func NewPacket(size int) *Packet {
	p := &Packet{Buf: make([]byte, Headroom+size+Tailroom)}
	p.alone = []*Packet{p}
	return p
}

// Set makes the packet a view of buf[off:end], which has the room around it that
// the reader of a packet counts on.
func (p *Packet) Set(buf []byte, off, end int) { p.Buf, p.Off, p.End = buf, off, end }

// Payload returns the bytes of the packet.
func (p *Packet) Payload() []byte { return p.Buf[p.Off:p.End] }

// Prepend grows the payload by n bytes at its front, at most [Headroom] in all, and returns them.
func (p *Packet) Prepend(n int) []byte {
	p.Off -= n
	return p.Buf[p.Off : p.Off+n]
}

// Pad grows the payload with zeros to a multiple of four.
func (p *Packet) Pad() {
	for (p.End-p.Off)%4 != 0 {
		p.Buf[p.End] = 0
		p.End++
	}
}

// Alone returns the batch that consists of this packet, without allocating.
func (p *Packet) Alone() []*Packet {
	if p.alone == nil {
		p.alone = []*Packet{p}
	}
	return p.alone
}

// Conn is a socket that reads and writes datagrams. ReadBatch is for one goroutine
// at a time, everything else for any.
type Conn interface {
	// ReadBatch waits for at least one datagram and fills Addr and payload of the
	// first n packets. A datagram that does not fit is dropped and counted. The only
	// error is net.ErrClosed: what passes by itself is waited out.
	ReadBatch(ps []*Packet) (n int, err error)
	// WriteBatch sends each packet to its Addr and returns how many the kernel took.
	// A packet that it refuses is lost, as any datagram may be.
	WriteBatch(ps []*Packet) (n int)
	// LocalAddr is the address the socket is bound to.
	LocalAddr() netip.AddrPort
	Close() error
}
