package turnserver

import (
	"net/netip"

	"icebox/turnserver/flow"
	"icebox/turnserver/packetio"
	"icebox/turnserver/peer"
	"icebox/turnserver/wire"
)

// receive handles one message of a client: a datagram, or a frame of its stream. For ChannelData and Send indications it must not
// allocate memory.
func (s *Server) receive(from path, remote netip.AddrPort, p *packetio.Packet) {
	b := p.Payload()
	if len(b) > 0 && b[0] >= wire.MinChannel>>8 {
		s.channelData(from, remote, p)
		return
	}
	var m wire.Message
	if err := wire.Parse(b, &m); err != nil {
		s.countDrop(DropMalformed)
		return
	}
	switch {
	case m.Class == wire.Indication && m.Method == wire.Send:
		s.sendIndication(from, remote, p, &m)
	case m.Class == wire.Indication && m.Method == wire.Binding: // a keep-alive (RFC 8445 section 11)
	case m.Class == wire.Request:
		s.request(from, remote, p, &m)
	default:
		s.countDrop(DropUnexpected)
	}
}

// channelData relays a ChannelData message to its peer (RFC 8656 section 12.6).
func (s *Server) channelData(from path, remote netip.AddrPort, p *packetio.Packet) {
	number, data, ok := wire.ChannelData(p.Payload())
	if !ok {
		s.countDrop(DropMalformed)
		return
	}
	sess, now := from.session(remote), s.now()
	if sess == nil || !sess.live(now) {
		s.countDrop(DropNoAllocation)
		return
	}
	ch, ok := sess.flows.Bound(number, now)
	if !ok {
		s.countDrop(DropNoChannel)
		return
	}
	p.Off += wire.ChannelHeaderSize
	p.End = p.Off + len(data)
	s.forward(sess, p, ch.Peer, ch)
}

// sendIndication relays a Send indication to its peer (RFC 8656 section 11.3). As the RFC requires, an indication that cannot be
// relayed is dropped without a response.
func (s *Server) sendIndication(from path, remote netip.AddrPort, p *packetio.Packet, m *wire.Message) {
	sess, now := from.session(remote), s.now()
	if sess == nil || !sess.live(now) {
		s.countDrop(DropNoAllocation)
		return
	}
	var to netip.AddrPort
	data, end := 0, 0 // offsets in p.Buf of the value of DATA
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
		case typ.Required() && !understood(typ):
			s.countDrop(DropUnknownAttribute)
			return
		}
		at += wire.Pad4(len(value))
	}
	if !to.IsValid() || data == 0 {
		s.countDrop(DropMalformed)
		return
	}
	ch, permitted := sess.flows.From(to, now)
	if !permitted {
		s.countDrop(DropNoPermission)
		return
	}
	p.Off, p.End = data, end
	p.DontFragment = dontFragment
	s.forward(sess, p, to, ch)
	p.DontFragment = false
}

// forward sends the payload of p from the relayed address of sess to a permitted peer. If the peer is a live relayed address of this
// server, forward delivers the payload within the process, because a NAT in front of the server may not support hairpinning.
func (s *Server) forward(sess *session, p *packetio.Packet, to netip.AddrPort, ch *flow.Channel) {
	size := p.End - p.Off
	relay := sess.relays.of(wire.FamilyOf(to.Addr()))
	if relay == nil { // the client has released it since it got the permission
		s.countDrop(DropNoAllocation)
		return
	}
	target, own := s.liveRelay(to)
	switch {
	case !s.mayPass(sess, s.now(), size, bandwidthToPeer):
	case target != nil:
		sess.toPeer.add(size)
		s.deliver(target, p, relay.advertised, true)
	case own:
		s.countDrop(DropPeerDenied)
	case s.allowed(to, ch):
		sess.toPeer.add(size)
		p.Addr = to
		relay.conn.Send(p)
	}
}

// deliver sends the payload of p, which came from a peer, to the client of sess: through the channel that is bound to the peer, or as
// a Data indication (RFC 8656 section 11.4). inside is true if the peer is a relayed address of this server.
func (s *Server) deliver(sess *session, p *packetio.Packet, peer netip.AddrPort, inside bool) {
	now := s.now()
	ch, permitted := sess.flows.From(peer, now)
	if !permitted || !sess.live(now) {
		s.countDrop(DropNoPermission)
		return
	}
	if !inside && !s.allowed(peer, ch) {
		return
	}
	size := p.End - p.Off
	if size > relayPayload { // possible only if inside: a stream client can send 64 KiB, more than a Data indication holds
		s.countDrop(DropOversized)
		return
	}
	if !s.mayPass(sess, now, size, bandwidthFromPeer) {
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

// allowed reports whether the peer policy allows one packet. A channel stores the policy that allowed its peer, so the policy is
// evaluated again only after a reload.
func (s *Server) allowed(a netip.AddrPort, ch *flow.Channel) bool {
	policy := s.limits.Load().peers
	if ch != nil {
		if last, _ := ch.Allowed.Load().(*peer.Policy); last == policy {
			return true
		}
	}
	verdict := policy.Peer(a)
	if !verdict.Allowed {
		s.countDrop(DropPeerDenied)
		s.countDenied(a, verdict.Rule)
		return false
	}
	if ch != nil {
		ch.Allowed.Store(policy)
	}
	return true
}
