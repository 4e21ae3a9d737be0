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

	batch  *Batch // that takes what is sent on its behalf; nil: everything is sent at once
	shared bool   // Buf goes on with other packets on both sides
}

// NewPacket returns a packet that can hold a payload of size bytes.
func NewPacket(size int) *Packet {
	return &Packet{Buf: make([]byte, Headroom+size+Tailroom)}
}

// Set makes the packet a view of buf[off:end], which has the room around it that
// the reader of a packet counts on.
func (p *Packet) Set(buf []byte, off, end int) { p.Buf, p.Off, p.End = buf, off, end }

// View makes the packet buf[off:end] between other packets, which has the room around it
// that the reader of a packet counts on. What is sent on its behalf waits for b to be flushed; buf is
// left alone until then. Without a batch it is sent at once.
func (p *Packet) View(b *Batch, buf []byte, off, end int) {
	p.Set(buf, off, end)
	p.batch, p.shared = b, b != nil && b.joins()
}

// Later has f flushed when what is sent on behalf of p leaves; false if it has left already.
func (p *Packet) Later(f Flusher) bool {
	if p.batch == nil {
		return false
	}
	p.batch.flushers = append(p.batch.flushers, f)
	return true
}

// Answer returns a packet that leaves together with what else is sent on behalf of p. The payload is not to be changed any more; there is no room around it.
func (p *Packet) Answer(payload []byte) *Packet {
	return &Packet{Buf: payload, End: len(payload), batch: p.batch}
}

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
