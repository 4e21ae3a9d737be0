package turnserver

import (
	"errors"
	"net/netip"
	"time"

	"icebox/turnserver/engine"
	"icebox/turnserver/wire"
)

// Lifetimes of allocations (RFC 8656 sections 3.2 and 7.2).
const (
	defaultLifetime = 600 * time.Second
	maxLifetime     = engine.MaxLifetime
)

const transportUDP = 17 // IANA protocol number, in REQUESTED-TRANSPORT

// allocate handles an Allocate (RFC 8656 section 7.2). nil asks for a challenge: the credential has expired.
func (s *Server) allocate(r *request) *reply {
	if !r.identity.Expires.IsZero() && s.clock().After(r.identity.Expires) {
		return nil
	}
	family, code := vetAllocate(&r.msg)
	if code != 0 {
		return fail(code)
	}
	host := s.relayHost(r.from.local().Addr(), family)
	if host == nil {
		return fail(wire.FamilyNotSupported)
	}
	release, code := s.quota.reserve(account{r.identity.Kind, r.identity.User}, r.remote.Addr(), s.limits.Load())
	if code != 0 {
		return fail(code)
	}
	lifetime, err := lifetimeOf(&r.msg)
	if err != nil {
		release()
		return fail(wire.BadRequest)
	}
	lifetime = max(lifetime, defaultLifetime) // 0 is no lifetime to begin with
	sess := &session{
		id:       s.nextID.Add(1),
		identity: r.identity,
		path:     r.from,
		remote:   r.remote,
		started:  s.clock(),
		release:  release,
	}
	if err := s.start(sess, host, lifetime); err != nil {
		release()
		s.log.Debug("allocate failed", "user", sess.identity.User, "err", err)
		return fail(wire.InsufficientCapacity)
	}
	sess.mu.Lock() // nobody else has it yet
	defer sess.mu.Unlock()
	rep := &reply{attributes: func(b *wire.Builder) {
		b.XORAddress(wire.AttrXORRelayedAddress, sess.relay.advertised)
		b.Lifetime(lifetime)
		b.XORAddress(wire.AttrXORMappedAddress, r.remote)
	}}
	sess.remember(&r.msg, rep.sign(r))
	return rep
}

// start makes sess live: in the state machine, at its relayed address, for its client.
func (s *Server) start(sess *session, host *relayHost, lifetime time.Duration) error {
	a, err := s.engine.Allocate(sess.id, lifetime, engine.Hooks{
		Open: func() (netip.AddrPort, error) {
			relay, err := host.open(sess, func() { s.drop(DropOversized) })
			if err != nil {
				return netip.AddrPort{}, err
			}
			sess.relay = relay
			return relay.advertised, nil
		},
		Closed: func() { s.finish(sess) },
	})
	if err != nil {
		return err
	}
	sess.allocation = a
	sess.deadline.Store(s.now() + int64(lifetime))
	if !s.adopt(sess) {
		a.Delete()
		return errors.New("server is draining")
	}
	sess.path.attach(sess)
	sess.relay.publish()
	s.readers.Go(func() { s.readRelay(sess.relay) })
	s.started[sess.path.transport()].Inc()
	return nil
}

// vetAllocate checks the attributes of an Allocate in the order of RFC 8656 section 7.2.
func vetAllocate(m *wire.Message) (wire.Family, wire.Code) {
	transport, ok := m.Get(wire.AttrRequestedTransport)
	if !ok || len(transport) != 4 {
		return 0, wire.BadRequest
	}
	if transport[0] != transportUDP {
		return 0, wire.UnsupportedTransport
	}
	_, token := m.Get(wire.AttrReservationToken)
	_, even := m.Get(wire.AttrEvenPort)
	family, hasFamily := m.Get(wire.AttrRequestedAddressFamily)
	if token && (even || hasFamily) {
		return 0, wire.BadRequest
	}
	if token || even {
		return 0, wire.InsufficientCapacity
	}
	if !hasFamily {
		return 0, 0
	}
	return familyOf(family)
}

// familyOf reads REQUESTED-ADDRESS-FAMILY (RFC 8656 section 18.4).
func familyOf(value []byte) (wire.Family, wire.Code) {
	if len(value) != 4 {
		return 0, wire.BadRequest
	}
	f := wire.Family(value[0])
	if f != wire.IPv4 && f != wire.IPv6 {
		return 0, wire.FamilyNotSupported
	}
	return f, 0
}

var errLifetime = errors.New("lifetime is malformed")

// lifetimeOf returns what LIFETIME asks for, clamped to what the server grants (RFC
// 8656 sections 7.2 and 8.2); 0 stays 0, absence is the default.
func lifetimeOf(m *wire.Message) (time.Duration, error) {
	value, ok := m.Get(wire.AttrLifetime)
	if !ok {
		return defaultLifetime, nil
	}
	d, ok := wire.Seconds(value)
	if !ok {
		return 0, errLifetime
	}
	if d == 0 {
		return 0, nil
	}
	return min(max(d, defaultLifetime), maxLifetime), nil
}

// refresh handles a Refresh (RFC 8656 section 8.2).
func (s *Server) refresh(r *request) *reply {
	sess := r.session
	lifetime, err := lifetimeOf(&r.msg)
	if err != nil {
		return fail(wire.BadRequest)
	}
	if value, ok := r.msg.Get(wire.AttrRequestedAddressFamily); ok {
		family, code := familyOf(value)
		if code == 0 && family != wire.FamilyOf(sess.relay.advertised.Addr()) {
			code = wire.PeerFamilyMismatch
		}
		if code != 0 {
			return fail(code)
		}
	}
	if lifetime != 0 && s.clock().Sub(sess.started) > s.opts.MaxSessionAge {
		s.end(sess, EndTooOld)
		return fail(wire.AllocationMismatch)
	}
	if lifetime == 0 {
		s.end(sess, EndReleased)
	} else {
		if err := sess.allocation.Refresh(lifetime); err != nil {
			return fail(wire.AllocationMismatch)
		}
		sess.deadline.Store(s.now() + int64(lifetime))
	}
	return &reply{attributes: func(b *wire.Builder) { b.Lifetime(lifetime) }}
}
