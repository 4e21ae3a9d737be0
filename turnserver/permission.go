package turnserver

import (
	"errors"
	"net/netip"
	"slices"

	"icebox/turnserver/engine"
	"icebox/turnserver/wire"
)

// createPermission handles a CreatePermission: all of its peers or none (RFC 8656 section 10.2).
func (s *Server) createPermission(r *request) *reply {
	limits := s.limits.Load()
	var peers []netip.AddrPort
	var addrs []netip.Addr // of peers, each once
	for typ, value := range r.msg.Attributes() {
		if typ != wire.AttrXORPeerAddress {
			continue
		}
		peer, ok := r.msg.XORAddress(value)
		if !ok {
			return fail(wire.BadRequest)
		}
		if slices.Contains(addrs, peer.Addr()) {
			continue
		}
		if len(addrs) >= limits.Permissions {
			return fail(wire.InsufficientCapacity)
		}
		peers, addrs = append(peers, peer), append(addrs, peer.Addr())
	}
	if len(peers) == 0 {
		return fail(wire.BadRequest)
	}
	for _, a := range addrs {
		if code := s.vetPeer(r.session, a); code != 0 {
			return fail(code)
		}
		if _, own := s.hosts[a]; own {
			continue // another live relayed address of ours may be there
		}
		if v := limits.peers.Address(a); !v.Allowed {
			s.denied(netip.AddrPortFrom(a, 0), v.Rule)
			return fail(wire.Forbidden)
		}
	}
	if !r.session.flows.RoomFor(addrs, s.now(), limits.Permissions) {
		return fail(wire.InsufficientCapacity)
	}
	if err := r.session.allocation.CreatePermission(peers); err != nil {
		return s.failEngine(err)
	}
	now := s.now()
	r.session.flows.Permit(addrs, now, now+int64(engine.PermissionLifetime))
	return succeed()
}

// channelBind handles a ChannelBind (RFC 8656 section 12.2).
func (s *Server) channelBind(r *request) *reply {
	value, hasNumber := r.msg.Get(wire.AttrChannelNumber)
	number, ok := wire.ChannelNumber(value)
	address, hasPeer := r.msg.Get(wire.AttrXORPeerAddress)
	if !hasNumber || !ok || !hasPeer || number < wire.MinChannel || number > s.maxChannel() {
		return fail(wire.BadRequest)
	}
	peer, ok := r.msg.XORAddress(address)
	if !ok {
		return fail(wire.BadRequest)
	}
	if code := s.vetPeer(r.session, peer.Addr()); code != 0 {
		return fail(code)
	}
	limits := s.limits.Load()
	if target, own := s.liveRelay(peer); own && target == nil {
		s.denied(peer, "own address")
		return fail(wire.Forbidden)
	} else if v := limits.peers.Peer(peer); !own && !v.Allowed {
		s.denied(peer, v.Rule)
		return fail(wire.Forbidden)
	}
	now := s.now()
	if !r.session.flows.RoomForChannel(number, now, limits.Channels) ||
		!r.session.flows.RoomFor([]netip.Addr{peer.Addr()}, now, limits.Permissions) {
		return fail(wire.InsufficientCapacity)
	}
	if err := r.session.allocation.ChannelBind(number, peer); err != nil {
		return s.failEngine(err)
	}
	now = s.now()
	r.session.flows.Bind(number, peer, now, now+int64(engine.ChannelLifetime))
	return succeed()
}

// maxChannel is the highest channel number that may be bound.
func (s *Server) maxChannel() uint16 {
	if s.limits.Load().StrictChannels {
		return wire.MaxChannel
	}
	return wire.MaxOldChannel
}

// vetPeer checks that a peer is of the family of a relayed address (RFC 8656 sections 10.2 and 12.2).
func (s *Server) vetPeer(sess *session, a netip.Addr) wire.Code {
	if sess.relays.of(wire.FamilyOf(a)) == nil {
		return wire.PeerFamilyMismatch
	}
	return 0
}

// failEngine turns a refusal of the state machine into a code.
func (s *Server) failEngine(err error) *reply {
	if errors.Is(err, engine.ErrRefused) {
		return fail(wire.BadRequest)
	}
	return fail(wire.AllocationMismatch)
}
