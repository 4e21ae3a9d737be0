package turnserver

import (
	"net/netip"

	"icebox/turnserver/flow"
	"icebox/turnserver/packetio"
	"icebox/turnserver/peer"
	"icebox/turnserver/wire"
)

// receive takes one message of a client: a datagram, or a frame of its stream.
// Nothing in here may allocate for ChannelData and Send indications.
func (s *Server) receive(from path, remote netip.AddrPort, p *packetio.Packet) {
	b := p.Payload()
	if len(b) > 0 && b[0] >= wire.MinChannel>>8 {
		s.channelData(from, remote, p)
		return
	}
	var m wire.Message
	if err := wire.Parse(b, &m); err != nil {
		s.drop(DropMalformed)
		return
	}
	switch {
	case m.Class == wire.Indication && m.Method == wire.Send:
		s.sendIndication(from, remote, p, &m)
	case m.Class == wire.Indication && m.Method == wire.Binding: // a keep-alive
	case m.Class == wire.Request:
		s.request(from, remote, p, &m)
	default:
		s.drop(DropUnexpected)
	}
}

// channelData relays a ChannelData message to its peer (RFC 8656 section 12.6).
func (s *Server) channelData(from path, remote netip.AddrPort, p *packetio.Packet) {
	number, data, ok := wire.ChannelData(p.Payload())
	if !ok {
		s.drop(DropMalformed)
		return
	}
	sess, now := from.session(remote), s.now()
	if sess == nil || !sess.live(now) {
		s.drop(DropNoAllocation)
		return
	}
	ch, ok := sess.flows.Bound(number, now)
	if !ok {
		s.drop(DropNoChannel)
		return
	}
	p.Off += wire.ChannelHeaderSize
	p.End = p.Off + len(data)
	s.forward(sess, p, ch.Peer, ch)
}

// sendIndication relays a Send indication to its peer (RFC 8656 section 11.3). What
// can't be relayed is dropped in silence, as the RFC wants.
func (s *Server) sendIndication(from path, remote netip.AddrPort, p *packetio.Packet, m *wire.Message) {
	sess, now := from.session(remote), s.now()
	if sess == nil || !sess.live(now) {
		s.drop(DropNoAllocation)
		return
	}
	var to netip.AddrPort
	data, end := 0, 0 // where the value of DATA lies in p.Buf
	dontFragment := false
	at := p.Off + wire.HeaderSize
	for typ, value := range m.Attributes() {
		at += wire.AttributeHeaderSize
		switch {
		case typ == wire.AttrXORPeerAddress && !to.IsValid():
			to, _ = m.XORAddress(value)
		case typ == wire.AttrData && data == 0:
			data, end = at, at+len(value)
		case typ == wire.AttrDontFragment:
			dontFragment = true
		case typ.Required() && !known(typ):
			s.drop(DropUnknownAttribute)
			return
		}
		at += wire.Pad4(len(value))
	}
	if !to.IsValid() || data == 0 {
		s.drop(DropMalformed)
		return
	}
	ch, permitted := sess.flows.From(to, now)
	if !permitted {
		s.drop(DropNoPermission)
		return
	}
	p.Off, p.End = data, end
	p.DontFragment = dontFragment
	s.forward(sess, p, to, ch)
	p.DontFragment = false
}

// forward sends the payload of p from the relayed address of sess to a peer that
// its permissions allow. A peer that is a live relayed address of this server gets it
// inside the process, for NATs need not hairpin.
func (s *Server) forward(sess *session, p *packetio.Packet, to netip.AddrPort, ch *flow.Channel) {
	size := p.End - p.Off
	relay := sess.relays.of(wire.FamilyOf(to.Addr()))
	if relay == nil { // it was there when the permission was given
		s.drop(DropNoAllocation)
		return
	}
	target, own := s.liveRelay(to)
	switch {
	case !s.mayPass(sess, s.now(), size, toPeer):
	case target != nil:
		sess.toPeer.add(size)
		s.deliver(target, p, relay.advertised, true)
	case own:
		s.drop(DropPeerDenied)
	case s.allowed(to, ch):
		sess.toPeer.add(size)
		p.Addr = to
		relay.conn.Send(p)
	}
}

// deliver sends the payload of p, which came from a peer, to the client of sess:
// through the channel that is bound to the peer or as a Data indication (RFC 8656
// section 11.4). inside tells that the peer is a relayed address of this server.
func (s *Server) deliver(sess *session, p *packetio.Packet, peer netip.AddrPort, inside bool) {
	now := s.now()
	ch, permitted := sess.flows.From(peer, now)
	if !permitted || !sess.live(now) {
		s.drop(DropNoPermission)
		return
	}
	if !inside && !s.allowed(peer, ch) {
		return
	}
	size := p.End - p.Off
	if size > relayPayload { // only from inside, where a stream may bring 64 KiB: more than a Data indication holds
		s.drop(DropOversized)
		return
	}
	if !s.mayPass(sess, now, size, fromPeer) {
		return
	}
	if ch != nil {
		wire.PutChannelHeader(p.Prepend(wire.ChannelHeaderSize), ch.Number, size)
	} else {
		wire.PutDataHeader(p.Prepend(wire.DataHeaderSize(peer.Addr())), peer, size)
		p.Pad()
	}
	sess.fromPeer.add(size)
	sess.path.send(sess.remote, p)
}

// allowed asks the peer policy about one packet. A channel remembers the policy that
// allowed its peer, so that a new policy is asked again.
func (s *Server) allowed(a netip.AddrPort, ch *flow.Channel) bool {
	policy := s.limits.Load().peers
	if ch != nil {
		if last, _ := ch.Allowed.Load().(*peer.Policy); last == policy {
			return true
		}
	}
	verdict := policy.Peer(a)
	if !verdict.Allowed {
		s.drop(DropPeerDenied)
		s.denied(a, verdict.Rule)
		return false
	}
	if ch != nil {
		ch.Allowed.Store(policy)
	}
	return true
}
