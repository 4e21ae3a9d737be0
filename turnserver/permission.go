package turnserver

import (
	"errors"
	"net/netip"
	"slices"

	"icebox/turnserver/engine"
	"icebox/turnserver/wire"
)

// createPermission handles a CreatePermission (RFC 8656 section 10.2). It permits all peers of the request or none.
func (s *Server) createPermission(r *request) *reply {
	limits := s.limits.Load()
	var peers []netip.AddrPort
	var addrs []netip.Addr // the distinct IP addresses of peers
	for typ, value := range r.msg.Attributes() {
		if typ != wire.AttrXORPeerAddress {
			continue
		}
		peer, ok := r.msg.XORAddress(value)
		if !ok {
			return errorReply(wire.BadRequest)
		}
		if slices.Contains(addrs, peer.Addr()) {
			continue
		}
		if len(addrs) >= limits.Permissions {
			return errorReply(wire.InsufficientCapacity)
		}
		peers, addrs = append(peers, peer), append(addrs, peer.Addr())
	}
	if len(peers) == 0 {
		return errorReply(wire.BadRequest)
	}
	for _, a := range addrs {
		if code := s.vetPeer(r.session, a); code != 0 {
			return errorReply(code)
		}
		if _, own := s.hosts[a]; own {
			continue // a live relayed address of this server may have it; each packet is checked
		}
		if v := limits.peers.Address(a); !v.Allowed {
			s.countDenied(netip.AddrPortFrom(a, 0), v.Rule)
			return errorReply(wire.Forbidden)
		}
	}
	if !r.session.flows.RoomFor(addrs, s.now(), limits.Permissions) {
		return errorReply(wire.InsufficientCapacity)
	}
	if err := r.session.allocation.CreatePermission(peers); err != nil {
		return s.engineErrorReply(err)
	}
	now := s.now()
	r.session.flows.Permit(addrs, now, now+int64(engine.PermissionLifetime))
	return successReply()
}

// channelBind handles a ChannelBind (RFC 8656 section 12.2).
func (s *Server) channelBind(r *request) *reply {
	value, hasNumber := r.msg.Get(wire.AttrChannelNumber)
	number, ok := wire.ChannelNumber(value)
	address, hasPeer := r.msg.Get(wire.AttrXORPeerAddress)
	if !hasNumber || !ok || !hasPeer || number < wire.MinChannel || number > s.maxChannel() {
		return errorReply(wire.BadRequest)
	}
	peer, ok := r.msg.XORAddress(address)
	if !ok {
		return errorReply(wire.BadRequest)
	}
	if code := s.vetPeer(r.session, peer.Addr()); code != 0 {
		return errorReply(code)
	}
	limits := s.limits.Load()
	if target, own := s.liveRelay(peer); own && target == nil {
		s.countDenied(peer, "own address")
		return errorReply(wire.Forbidden)
	} else if v := limits.peers.Peer(peer); !own && !v.Allowed {
		s.countDenied(peer, v.Rule)
		return errorReply(wire.Forbidden)
	}
	now := s.now()
	if !r.session.flows.RoomForChannel(number, now, limits.Channels) ||
		!r.session.flows.RoomFor([]netip.Addr{peer.Addr()}, now, limits.Permissions) {
		return errorReply(wire.InsufficientCapacity)
	}
	if err := r.session.allocation.ChannelBind(number, peer); err != nil {
		return s.engineErrorReply(err)
	}
	now = s.now()
	r.session.flows.Bind(number, peer, now, now+int64(engine.ChannelLifetime))
	return successReply()
}

// maxChannel returns the highest channel number that may be bound.
func (s *Server) maxChannel() uint16 {
	if s.limits.Load().StrictChannels {
		return wire.MaxChannel
	}
	return wire.MaxOldChannel
}

// vetPeer returns 443 unless the session has a relayed address of the family of a (RFC 8656 sections 10.2 and 12.2).
func (s *Server) vetPeer(sess *session, a netip.Addr) wire.Code {
	if sess.relays.of(wire.FamilyOf(a)) == nil {
		return wire.PeerFamilyMismatch
	}
	return 0
}

// engineErrorReply returns the error response for an error of the state machine.
func (s *Server) engineErrorReply(err error) *reply {
	if errors.Is(err, engine.ErrRefused) {
		return errorReply(wire.BadRequest)
	}
	return errorReply(wire.AllocationMismatch)
}
