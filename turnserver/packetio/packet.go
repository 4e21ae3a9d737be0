package packetio

import "net/netip"

// Packet is a datagram, or a message of a stream, in a buffer that belongs to its reader.
type Packet struct {
	// Addr is the source of a packet that was read, and the destination of a packet to send.
	Addr netip.AddrPort
	// Buf[Off:End] is the payload.
	Buf      []byte
	Off, End int
	// DontFragment asks for a packet to be dropped rather than fragmented. See [CanDontFragment].
	DontFragment bool

	batch  *Batch // records packets sent on behalf of this one; nil: they are sent at once
	shared bool   // Buf has other packets before and after this one
}

// NewPacket returns a packet that can hold a payload of size bytes.
func NewPacket(size int) *Packet {
	return &Packet{Buf: make([]byte, Headroom+size+Tailroom)}
}

// Set makes the packet a view of buf[off:end]. buf has [Headroom] before and [Tailroom] after it that may be overwritten.
func (p *Packet) Set(buf []byte, off, end int) { p.Buf, p.Off, p.End = buf, off, end }

// View makes the packet a view of buf[off:end], which may have other packets before and after it within [Headroom] and
// [Tailroom]. Packets sent on its behalf wait in b until b is flushed, and buf must not change until then. If b is nil, they
// are sent at once.
func (p *Packet) View(b *Batch, buf []byte, off, end int) {
	p.Set(buf, off, end)
	p.batch, p.shared = b, b != nil && b.sharesBuffer()
}

// Defer makes the batch of p call f.Flush when the batch is flushed. If p has no batch, Defer returns false and does
// not call f.
func (p *Packet) Defer(f Flusher) bool {
	if p.batch == nil {
		return false
	}
	p.batch.flushers = append(p.batch.flushers, f)
	return true
}

// Reply returns a packet with the given payload that is sent together with the others on behalf of p. The payload must not
// change afterwards, and has no room around it.
func (p *Packet) Reply(payload []byte) *Packet {
	return &Packet{Buf: payload, End: len(payload), batch: p.batch}
}

// Payload returns the bytes of the packet.
func (p *Packet) Payload() []byte { return p.Buf[p.Off:p.End] }

// Prepend adds n bytes in front of the payload and returns them. All calls together may add at most [Headroom] bytes. After
// the payload there is still room for [Packet.Pad].
func (p *Packet) Prepend(n int) []byte {
	if p.shared {
		p.batch.detach(p)
	}
	p.Off -= n
	return p.Buf[p.Off : p.Off+n]
}

// Pad appends zeros to the payload until its length is a multiple of four.
func (p *Packet) Pad() {
	for (p.End-p.Off)%4 != 0 {
		p.Buf[p.End] = 0
		p.End++
	}
}
