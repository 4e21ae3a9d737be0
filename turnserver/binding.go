package turnserver

import (
	"net/netip"

	"icebox/turnserver/packetio"
	"icebox/turnserver/wire"
)

// Sizes in bytes of the response to a Binding request, by the client's address family.
const (
	bindingSize4    = wire.HeaderSize + wire.AttributeHeaderSize + 8
	bindingSize6    = wire.HeaderSize + wire.AttributeHeaderSize + 20
	fingerprintSize = wire.AttributeHeaderSize + 4
)

// binding responds to a Binding request (RFC 8489 section 2), which needs no authentication. The response overwrites the
// request in p, so that a flood of requests allocates nothing.
func (s *Server) binding(from path, remote netip.AddrPort, p *packetio.Packet, m *wire.Message) {
	s.requests[wire.Binding].Inc()
	if !s.mayReply(from, remote, false) {
		return
	}
	if list := unknownRequired(m); list != nil {
		rep := unknownAttributes(list)
		rep.terse = true // the source address may be forged
		r := &request{from: from, remote: remote, packet: p, msg: *m}
		s.respond(r, rep.unsigned(r))
		return
	}
	size := bindingSize4
	if remote.Addr().Is6() {
		size = bindingSize6
	}
	fingerprint := m.Fingerprint
	if fingerprint {
		size += fingerprintSize
	}
	if more := size - (p.End - p.Off); more > 0 {
		p.Prepend(more)
	}
	p.Off = p.End - size
	b := wire.NewBuilder(p.Payload()[:0:size], wire.Binding, wire.Success, m.TransactionID) // overwrites m
	b.XORAddress(wire.AttrXORMappedAddress, remote)
	if fingerprint {
		b.Fingerprint()
	}
	from.send(remote, p)
}
