package turnserver

import (
	"errors"
	"net/netip"
	"slices"
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

// allocateRequest holds the attributes of an Allocate.
type allocateRequest struct {
	lifetime    time.Duration
	family      wire.Family // 0 if the client names none
	dual        bool        // an IPv6 address in addition to the IPv4 address
	even        bool        // an even port
	reserveNext bool        // also reserve the port after the even one
	token       *token      // identifies a port that an earlier Allocate reserved; nil without one
}

// allocatePlan holds the addresses and ports that an Allocate gets.
type allocatePlan struct {
	host     *relayHost
	second   *relayHost   // provides the additional address; nil if there is none
	missing  wire.Family  // of the two requested families, the one that the server cannot provide; 0 if there is none
	why      wire.Code    // the reason for missing
	redeemed *reservation // the redeemed reservation until a relay socket takes its port; nil otherwise
	next     *heldPort    // the port to reserve, already bound; nil if there is none
	reserved token        // the RESERVATION-TOKEN for next
}

// allocate handles an Allocate (RFC 8656 section 7.2). It returns nil, which makes the caller send a challenge, if the
// credential has expired or was revoked.
func (s *Server) allocate(r *request) *reply {
	if !r.identity.Expires.IsZero() && s.clock().After(r.identity.Expires) || s.revoked.has(r.identity.ID) {
		return nil
	}
	want, code := vetAllocate(&r.msg)
	if code != 0 {
		return errorReply(code)
	}
	if r.msg.Has(wire.AttrDontFragment) && !packetio.CanDontFragment {
		return unknownAttributes([]wire.AttrType{wire.AttrDontFragment})
	}
	if rep := s.redirect(r); rep != nil {
		return rep
	}
	plan, code := s.plan(r, want)
	if code != 0 {
		return errorReply(code)
	}
	sess := &session{
		id:       s.nextID.Add(1),
		identity: r.identity,
		path:     r.from,
		remote:   r.remote,
		started:  s.clock(),
	}
	if code := s.start(sess, want, plan); code != 0 {
		return errorReply(code)
	}
	rep := &reply{attributes: func(b *wire.Builder) {
		for _, relay := range sess.relays.all() {
			b.XORAddress(wire.AttrXORRelayedAddress, relay.advertised)
		}
		b.Lifetime(want.lifetime)
		if want.reserveNext {
			b.Attribute(wire.AttrReservationToken, plan.reserved[:])
		}
		b.XORAddress(wire.AttrXORMappedAddress, r.remote)
		if plan.missing != 0 {
			b.AddressErrorCode(plan.missing, plan.why)
		}
	}}
	sess.mu.Lock()
	defer sess.mu.Unlock()
	sess.remember(&r.msg, rep.sign(r))
	return rep
}

// redirect returns the response that sends the client of an Allocate to an alternate server (RFC 8489 sections 10 and
// 14.15). The alternate server has an address of the same family as the client's. redirect returns nil if this server
// is not draining, or if it knows no alternate server of that family.
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

// plan chooses the addresses for an Allocate, or returns the code that refuses it.
func (s *Server) plan(r *request, want *allocateRequest) (*allocatePlan, wire.Code) {
	if want.token != nil {
		res := s.reservations.redeem(*want.token, r.identity)
		if res == nil {
			return nil, wire.InsufficientCapacity
		}
		return &allocatePlan{host: res.host, redeemed: res}, 0
	}
	local := r.from.local().Addr()
	plan := &allocatePlan{host: s.relayHost(local, want.family)}
	if plan.host == nil {
		return nil, wire.FamilyNotSupported
	}
	switch {
	case !want.dual:
	case !plan.host.Local.Is4():
		plan.missing, plan.why = wire.IPv4, wire.FamilyNotSupported
	default:
		if plan.second = s.relayHost(local, wire.IPv6); plan.second == nil {
			plan.missing, plan.why = wire.IPv6, wire.FamilyNotSupported
		}
	}
	return plan, 0
}

// undoStack holds functions that undo the steps of an Allocate. If a later step fails, they run in reverse order.
type undoStack []func()

func (u *undoStack) push(undo func()) { *u = append(*u, undo) }

func (u undoStack) run() {
	for _, undo := range slices.Backward(u) {
		undo()
	}
}

// start makes sess live: it reserves its quotas, creates its allocation and opens its relayed transport addresses. It
// returns the code that refuses the Allocate, or 0. If it refuses, it undoes every step first.
func (s *Server) start(sess *session, want *allocateRequest, plan *allocatePlan) (code wire.Code) {
	var undo undoStack
	defer func() {
		if code != 0 {
			undo.run()
		}
	}()
	undo.push(plan.returnRedeemed)
	if sess.entry, code = s.quota.reserve(sess.identity, sess.remote.Addr(), s.limits.Load()); code != 0 {
		return code
	}
	undo.push(sess.entry.release)
	var next *quotaEntry
	if want.reserveNext {
		if next, code = s.quota.reserve(sess.identity, sess.remote.Addr(), s.limits.Load()); code != 0 {
			return code
		}
		undo.push(next.release)
		undo.push(plan.freeNext)
	}
	if err := s.establish(sess, want, plan); err != nil {
		s.log.Debug("allocate failed", "user", sess.identity.User, "err", err)
		return wire.InsufficientCapacity
	}
	if want.reserveNext {
		plan.reserved = s.reservations.add(&reservation{heldPort: plan.next, owner: sess.identity, entry: next})
	}
	return 0
}

// returnRedeemed returns a redeemed port to its pool, unless takeRedeemed has taken it.
func (p *allocatePlan) returnRedeemed() {
	if p.redeemed != nil {
		p.host.pool.Put(p.redeemed.port)
	}
}

// takeRedeemed is a takePort function. Its first call returns the redeemed port; further calls fail.
func (p *allocatePlan) takeRedeemed(*portpool.Pool) (port uint16, ok bool) {
	if p.redeemed == nil {
		return 0, false
	}
	port, p.redeemed = p.redeemed.port, nil
	return port, true
}

// takePair is a takePort function. It returns an even port, binds the port after it, and stores that port in p.next.
func (p *allocatePlan) takePair(pool *portpool.Pool) (even uint16, ok bool) {
	for range bindAttempts {
		if even, ok = pool.TakePair(); !ok {
			return 0, false
		}
		var err error
		if p.next, err = bindAndHold(p.host, even+1); err == nil {
			return even, true
		}
		pool.Put(even)
		pool.Put(even + 1)
	}
	return 0, false
}

// freeNext frees the port that takePair has bound, if there is one.
func (p *allocatePlan) freeNext() {
	if p.next != nil {
		p.next.free()
		p.next = nil
	}
}

var errDraining = errors.New("server takes no new allocations")

// establish creates the allocation in the state machine, which opens the relay sockets, and makes the session reachable.
func (s *Server) establish(sess *session, want *allocateRequest, plan *allocatePlan) error {
	a, err := s.engine.Allocate(sess.path.worker(), sess.id, want.lifetime, engine.Hooks{
		Open:   func() (netip.AddrPort, error) { return s.openRelays(sess, want, plan) },
		Closed: func() { s.finish(sess) },
	})
	if err != nil {
		return err
	}
	sess.allocation = a
	sess.deadline.Store(s.now() + int64(want.lifetime))
	opened := sess.relays.all()
	sess.path.attach(sess)
	for _, relay := range opened {
		relay.publish()
	}
	if !s.addSession(sess) { // from here on any goroutine may end it
		a.Delete()
		return errDraining
	}
	s.started[sess.path.transport()].Inc()
	return nil
}

// openRelays opens the relayed transport address, and the additional one if the plan has one.
func (s *Server) openRelays(sess *session, want *allocateRequest, plan *allocatePlan) (netip.AddrPort, error) {
	take := (*portpool.Pool).Take
	switch {
	case plan.redeemed != nil:
		take = plan.takeRedeemed
	case want.reserveNext:
		take = plan.takePair
	case want.even:
		take = (*portpool.Pool).TakeEven
	}
	relay, err := s.openRelay(plan.host, sess, take, plan.freeNext)
	if err != nil {
		return netip.AddrPort{}, err
	}
	sess.relays.pointer(wire.FamilyOf(relay.advertised.Addr())).Store(relay)
	if plan.second != nil {
		second, err := s.openRelay(plan.second, sess, (*portpool.Pool).Take, func() {})
		if err != nil {
			plan.missing, plan.why = wire.IPv6, wire.InsufficientCapacity // the response says so, and the client continues with one address
		} else {
			sess.relays.pointer(wire.IPv6).Store(second)
		}
	}
	return relay.advertised, nil
}

// vetAllocate checks the attributes of an Allocate in the order of RFC 8656 section 7.2.
func vetAllocate(m *wire.Message) (*allocateRequest, wire.Code) {
	transport, ok := m.Get(wire.AttrRequestedTransport)
	if !ok || len(transport) != 4 {
		return nil, wire.BadRequest
	}
	if transport[0] != transportUDP {
		return nil, wire.UnsupportedTransport
	}
	want := &allocateRequest{}
	if value, ok := m.Get(wire.AttrEvenPort); ok {
		if len(value) != 1 {
			return nil, wire.BadRequest
		}
		want.even, want.reserveNext = true, value[0]&0x80 != 0
	}
	if value, ok := m.Get(wire.AttrReservationToken); ok {
		_, dual := additionalFamily(m)
		if len(value) != len(token{}) || want.even || dual || m.Has(wire.AttrRequestedAddressFamily) {
			return nil, wire.BadRequest
		}
		want.token = (*token)(value)
	}
	if code := want.vetFamilies(m); code != 0 {
		return nil, code
	}
	lifetime, err := lifetimeOf(m)
	if err != nil {
		return nil, wire.BadRequest
	}
	want.lifetime = max(lifetime, defaultLifetime) // a new allocation cannot have a lifetime of 0
	return want, 0
}

// vetFamilies parses REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY.
func (want *allocateRequest) vetFamilies(m *wire.Message) (code wire.Code) {
	if value, ok := m.Get(wire.AttrRequestedAddressFamily); ok {
		if want.family, code = familyOf(value); code != 0 {
			return code
		}
	}
	if value, ok := additionalFamily(m); ok {
		if family, code := familyOf(value); code != 0 || family != wire.IPv6 || want.family != 0 || want.reserveNext {
			return wire.BadRequest
		}
		want.dual = true
	}
	return 0
}

// additionalFamily returns the value of ADDITIONAL-ADDRESS-FAMILY, by its number or by the one that old clients use.
func additionalFamily(m *wire.Message) (value []byte, ok bool) {
	if value, ok = m.Get(wire.AttrAdditionalAddressFamily); ok {
		return value, true
	}
	return m.Get(wire.AttrAdditionalAddressFamilyDraft)
}

// familyOf parses an address family attribute (RFC 8656 section 18.4).
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

// lifetimeOf returns the value of LIFETIME, limited to the range that the server grants (RFC 8656 sections 7.2 and 8.2). It
// returns 0 for 0, and the default without the attribute.
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
