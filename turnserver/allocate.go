package turnserver

import (
	"errors"
	"net/netip"
	"time"

	"icebox/turnserver/engine"
	"icebox/turnserver/packetio"
	"icebox/turnserver/portpool"
	"icebox/turnserver/wire"
)

// Lifetimes of allocations (RFC 8656 sections 3.2 and 7.2).
const (
	defaultLifetime = 600 * time.Second
	maxLifetime     = engine.MaxLifetime
)

const transportUDP = 17 // IANA protocol number, in REQUESTED-TRANSPORT

// wish is what an Allocate asks for.
type wish struct {
	lifetime time.Duration
	family   wire.Family // 0: not said
	dual     bool        // an IPv6 address beside the IPv4 one
	even     bool        // an even port
	next     bool        // and the one after it reserved
	token    *token      // a port reserved before
}

// grant is what it gets.
type grant struct {
	host     *relayHost
	second   *relayHost  // of the additional address; nil without one
	missing  wire.Family // of two families wished for, the one that can't be had; 0 without one
	why      wire.Code   // and why it can't
	port     *reservation
	next     *heldPort // to be reserved
	reserved token
}

// allocate handles an Allocate (RFC 8656 section 7.2). nil asks for a challenge: the
// credential has expired or was revoked.
func (s *Server) allocate(r *request) *reply {
	if !r.identity.Expires.IsZero() && s.clock().After(r.identity.Expires) || s.revoked.has(r.identity.ID) {
		return nil
	}
	w, code := vetAllocate(&r.msg)
	if code != 0 {
		return fail(code)
	}
	if r.msg.Has(wire.AttrDontFragment) && !packetio.CanDontFragment {
		return unknownAttributes([]wire.AttrType{wire.AttrDontFragment})
	}
	if rep := s.redirect(r); rep != nil {
		return rep
	}
	g, code := s.plan(r, w)
	if code != 0 {
		return fail(code)
	}
	sess := &session{
		id:       s.nextID.Add(1),
		identity: r.identity,
		path:     r.from,
		remote:   r.remote,
		started:  s.clock(),
	}
	if code := s.start(sess, w, g); code != 0 {
		return fail(code)
	}
	rep := &reply{attributes: func(b *wire.Builder) {
		for _, relay := range sess.relays.all() {
			b.XORAddress(wire.AttrXORRelayedAddress, relay.advertised)
		}
		b.Lifetime(w.lifetime)
		if w.next {
			b.Attribute(wire.AttrReservationToken, g.reserved[:])
		}
		b.XORAddress(wire.AttrXORMappedAddress, r.remote)
		if g.missing != 0 {
			b.AddressErrorCode(g.missing, g.why)
		}
	}}
	sess.mu.Lock()
	defer sess.mu.Unlock()
	sess.remember(&r.msg, rep.sign(r))
	return rep
}

// redirect returns the answer that sends the client of an Allocate to another server, of the family of the
// client's address (RFC 8489 sections 10 and 14.15). It returns nil if this server is not draining, or knows none.
func (s *Server) redirect(r *request) *reply {
	if !s.draining.Load() {
		return nil
	}
	family := wire.FamilyOf(r.remote.Addr())
	for _, a := range s.limits.Load().AlternateServers {
		if wire.FamilyOf(a.Addr()) == family {
			return &reply{code: wire.TryAlternate, attributes: func(b *wire.Builder) { b.Address(wire.AttrAlternateServer, a) }}
		}
	}
	return nil
}

// plan finds the addresses for a wish, or the code that refuses it.
func (s *Server) plan(r *request, w *wish) (*grant, wire.Code) {
	if w.token != nil {
		res := s.reservations.redeem(*w.token, r.identity)
		if res == nil {
			return nil, wire.InsufficientCapacity
		}
		return &grant{host: res.host, port: res}, 0
	}
	local := r.from.local().Addr()
	g := &grant{host: s.relayHost(local, w.family)}
	if g.host == nil {
		return nil, wire.FamilyNotSupported
	}
	switch {
	case !w.dual:
	case !g.host.Local.Is4():
		g.missing, g.why = wire.IPv4, wire.FamilyNotSupported
	default:
		if g.second = s.relayHost(local, wire.IPv6); g.second == nil {
			g.missing, g.why = wire.IPv6, wire.FamilyNotSupported
		}
	}
	return g, 0
}

// start makes sess live: within its quotas, in the state machine, at its relayed
// addresses, for its client. It returns the code that refuses it, or 0.
func (s *Server) start(sess *session, w *wish, g *grant) wire.Code {
	var code wire.Code
	if sess.slot, code = s.quota.reserve(sess.identity, sess.remote.Addr(), s.limits.Load()); code != 0 {
		g.giveBack()
		return code
	}
	var next *slot
	if w.next {
		if next, code = s.quota.reserve(sess.identity, sess.remote.Addr(), s.limits.Load()); code != 0 {
			sess.slot.release()
			return code
		}
	}
	if err := s.establish(sess, w, g); err != nil {
		s.log.Debug("allocate failed", "user", sess.identity.User, "err", err)
		sess.slot.release()
		if w.next {
			next.release()
		}
		g.freeNext()
		return wire.InsufficientCapacity
	}
	if w.next {
		g.reserved = s.reservations.add(&reservation{heldPort: g.next, owner: sess.identity, slot: next})
	}
	return 0
}

// giveBack frees a redeemed port that was not used.
func (g *grant) giveBack() {
	if g.port != nil {
		g.host.pool.Put(g.port.port)
	}
}

// takePair takes an even port and holds its successor.
func (g *grant) takePair(pool *portpool.Pool) (even uint16, ok bool) {
	for range bindAttempts {
		if even, ok = pool.TakePair(); !ok {
			return 0, false
		}
		var err error
		if g.next, err = hold(g.host, even+1); err == nil {
			return even, true
		}
		pool.Put(even)
		pool.Put(even + 1)
	}
	return 0, false
}

// freeNext frees what takePair held.
func (g *grant) freeNext() {
	if g.next != nil {
		g.next.free()
		g.next = nil
	}
}

var errDraining = errors.New("server takes no new allocations")

// establish creates the allocation in the state machine, which opens the relay sockets, and lets packets in.
func (s *Server) establish(sess *session, w *wish, g *grant) error {
	a, err := s.engine.Allocate(sess.path.worker(), sess.id, w.lifetime, engine.Hooks{
		Open:   func() (netip.AddrPort, error) { return s.openRelays(sess, w, g) },
		Closed: func() { s.finish(sess) },
	})
	if err != nil {
		return err
	}
	sess.allocation = a
	sess.deadline.Store(s.now() + int64(w.lifetime))
	opened := sess.relays.all()
	sess.path.attach(sess)
	for _, relay := range opened {
		relay.publish()
	}
	if !s.adopt(sess) { // from here on anybody may end it
		a.Delete()
		return errDraining
	}
	s.started[sess.path.transport()].Inc()
	return nil
}

// openRelays opens the relayed transport address, and the additional one if there is to be one.
func (s *Server) openRelays(sess *session, w *wish, g *grant) (netip.AddrPort, error) {
	take := (*portpool.Pool).Take
	switch {
	case g.port != nil:
		held := true
		take = func(*portpool.Pool) (uint16, bool) { was := held; held = false; return g.port.port, was }
	case w.next:
		take = g.takePair
	case w.even:
		take = (*portpool.Pool).TakeEven
	}
	relay, err := s.openRelay(g.host, sess, take, g.freeNext)
	if err != nil {
		return netip.AddrPort{}, err
	}
	sess.relays.slot(wire.FamilyOf(relay.advertised.Addr())).Store(relay)
	if g.second != nil {
		second, err := s.openRelay(g.second, sess, (*portpool.Pool).Take, func() {})
		if err != nil {
			g.missing, g.why = wire.IPv6, wire.InsufficientCapacity // the client is told, and goes on with one address
		} else {
			sess.relays.slot(wire.IPv6).Store(second)
		}
	}
	return relay.advertised, nil
}

// vetAllocate checks the attributes of an Allocate in the order of RFC 8656 section 7.2.
func vetAllocate(m *wire.Message) (*wish, wire.Code) {
	transport, ok := m.Get(wire.AttrRequestedTransport)
	if !ok || len(transport) != 4 {
		return nil, wire.BadRequest
	}
	if transport[0] != transportUDP {
		return nil, wire.UnsupportedTransport
	}
	w := &wish{}
	if value, ok := m.Get(wire.AttrEvenPort); ok {
		if len(value) != 1 {
			return nil, wire.BadRequest
		}
		w.even, w.next = true, value[0]&0x80 != 0
	}
	if value, ok := m.Get(wire.AttrReservationToken); ok {
		_, dual := additionalFamily(m)
		if len(value) != len(token{}) || w.even || dual || m.Has(wire.AttrRequestedAddressFamily) {
			return nil, wire.BadRequest
		}
		w.token = (*token)(value)
	}
	if code := w.vetFamilies(m); code != 0 {
		return nil, code
	}
	lifetime, err := lifetimeOf(m)
	if err != nil {
		return nil, wire.BadRequest
	}
	w.lifetime = max(lifetime, defaultLifetime) // 0 is no lifetime to begin with
	return w, 0
}

// vetFamilies reads REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY.
func (w *wish) vetFamilies(m *wire.Message) (code wire.Code) {
	if value, ok := m.Get(wire.AttrRequestedAddressFamily); ok {
		if w.family, code = familyOf(value); code != 0 {
			return code
		}
	}
	if value, ok := additionalFamily(m); ok {
		if family, code := familyOf(value); code != 0 || family != wire.IPv6 || w.family != 0 || w.next {
			return wire.BadRequest
		}
		w.dual = true
	}
	return 0
}

// additionalFamily returns the value of ADDITIONAL-ADDRESS-FAMILY, under its number or the one that old clients use.
func additionalFamily(m *wire.Message) (value []byte, ok bool) {
	if value, ok = m.Get(wire.AttrAdditionalAddressFamily); ok {
		return value, true
	}
	return m.Get(wire.AttrAdditionalAddressFamilyDraft)
}

// familyOf reads an address family attribute (RFC 8656 section 18.4).
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
