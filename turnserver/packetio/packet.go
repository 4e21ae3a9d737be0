package packetio

import "net/netip"

// Packet is a datagram or a frame of a stream in a buffer of its owner's.
type Packet struct {
	// Addr is where a packet that was read came from, and where one that is sent goes to.
	Addr netip.AddrPort
	// Buf[Off:End] is the payload.
	Buf      []byte
	Off, End int
	// DontFragment asks that a packet that is sent be lost rather than fragmented, where the system can.
	DontFragment bool

	batch  *batch // what it was read with, nil if it was not read by a loop
	shared bool   // Buf goes on with other packets on both sides
}

// NewPacket returns a packet that can hold a payload of size bytes.
func NewPacket(size int) *Packet {
	return &Packet{Buf: make([]byte, Headroom+size+Tailroom)}
}

// Set makes the packet a view of buf[off:end], which has the room around it that
// the reader of a packet counts on.
func (p *Packet) Set(buf []byte, off, end int) { p.Buf, p.Off, p.End = buf, off, end }

// Payload returns the bytes of the packet.
func (p *Packet) Payload() []byte { return p.Buf[p.Off:p.End] }

// Prepend grows the payload by n bytes at its front, at most [Headroom] in all, and
// returns them. After it there is room for [Packet.Pad].
func (p *Packet) Prepend(n int) []byte {
	if p.shared {
		p.batch.detach(p)
	}
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
