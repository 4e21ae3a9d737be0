package pocketbase

import (
	"net/netip"
	"sync"
	"time"

	"icebox/signal"
)

const (
	absenceLimit  = time.Minute     // a call ends when its creator has had no stream for this long
	maxAge        = 24 * time.Hour  // an answered call ends at this age
	endedFor      = 2 * time.Minute // how long an answered call is kept after its end, to notify parties that subscribe late
	replaceAfter  = 5 * time.Second // a new call may replace one whose creator has had no stream for this long
	overhead      = 256             // bytes that a record counts in addition to its content
	maxEndedCalls = 10_000          // ended calls that are kept at the same time

	// One user or one address may have 1/shareDivisor of the permitted calls, or minShare if that is more.
	shareDivisor = 16
	minShare     = 64
)

// book holds all calls of this process and the event streams that subscribe to them. Its methods lock mu, unless their
// comments say that the caller holds it. Slices that they return belong to the caller.
type book struct {
	limits  func() signal.CallLimits
	metrics *metrics

	mu              sync.Mutex
	calls           map[string]*call
	active          int                                 // calls that have not ended
	endedCalls      int                                 // ended calls that are remembered
	bytes           int                                 // size of the records of all calls, overhead included
	bytesByAddr     map[string]int                      // the same by the address of the creator
	activeByKey     map[string]int                      // calls that have not ended, by call.countKeys
	callsBySignIn   map[string]map[*call]struct{}       // the calls that a sign-in is a party to, by sign-in ID
	streams         map[string]*subscriber              // by stream ID
	streamsBySignIn map[string]map[*subscriber]struct{} // streams that have subscribed, by sign-in ID
}

func newBook(limits func() signal.CallLimits, m *metrics) *book {
	return &book{
		limits: limits, metrics: m,
		calls: make(map[string]*call), bytesByAddr: make(map[string]int), activeByKey: make(map[string]int),
		callsBySignIn: make(map[string]map[*call]struct{}),
		streams:       make(map[string]*subscriber), streamsBySignIn: make(map[string]map[*subscriber]struct{}),
	}
}

// createCall creates a call from the address from, with the offer in d if there is one, and returns its record. At a limit,
// it first ends calls that the creator has abandoned.
func (b *book) createCall(p person, from netip.Addr, d descriptions) ([]byte, *problem) {
	l, now := b.limits(), time.Now()
	c := &call{
		id: newID(), created: now, updated: now, absentSince: now, creator: p, offer: d.offer,
		countKeys: [3]string{"sign-in " + p.signInID, "user " + p.user, "address " + from.String()},
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.withinCallLimits(c, l) {
		old := b.replaceableCall(p, now)
		if old == nil {
			return nil, problemTooManyCalls
		}
		b.endCall(old, replaced)
	}
	if refused := b.reserveBytes(c, len(d.offer)+overhead, l, problemTooManyBytes); refused != nil {
		return nil, refused
	}
	for _, key := range c.countKeys {
		b.activeByKey[key]++
	}
	b.active++
	b.calls[c.id] = c
	c.timer = time.AfterFunc(absenceLimit, func() { b.onTimer(c) })
	c.resetTimer(l)
	b.addParty(c, p)
	b.updateAbsence(c)
	b.metrics.created.Inc()
	b.metrics.calls.Inc()
	return c.record(), nil
}

// withinCallLimits reports whether the new call c stays within the limits on the number of calls. The caller holds mu.
func (b *book) withinCallLimits(c *call, l signal.CallLimits) bool {
	share := max(minShare, l.Total/shareDivisor)
	perUser := share
	if l.OnePerUser {
		perUser = 1
	}
	return (l.Total == 0 || b.active < l.Total) &&
		b.activeByKey[c.countKeys[bySignIn]] < l.PerClient &&
		b.activeByKey[c.countKeys[byUser]] < perUser &&
		b.activeByKey[c.countKeys[byAddr]] < share
}

// replaceableCall returns the oldest call that p created and abandoned, as a page does when it is reloaded, or nil. The
// caller holds mu.
func (b *book) replaceableCall(p person, now time.Time) (oldest *call) {
	for _, c := range b.calls {
		abandoned := !c.ended && !c.absentSince.IsZero() && now.Sub(c.absentSince) >= replaceAfter
		if abandoned && c.creator.same(p) && (oldest == nil || c.created.Before(oldest.created)) {
			oldest = c
		}
	}
	return oldest
}

// readCall returns the record of a call and makes p a party to it: knowing the ID of an unanswered call is sufficient.
func (b *book) readCall(p person, id string) ([]byte, *problem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.calls[id]
	if c == nil || c.ended || !b.addParty(c, p) {
		return nil, problemNotFound
	}
	return c.record(), nil
}

// updateCall writes an offer or an answer. The first answer makes p the answerer.
func (b *book) updateCall(p person, id string, d descriptions) ([]byte, *problem) {
	l := b.limits()
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.calls[id]
	switch {
	case c == nil || c.ended:
		return nil, problemNotFound
	case d.answer != nil && c.answerer != nil && p.signInID != c.answerer.signInID:
		return nil, problemAlreadyAnswered
	case !b.addParty(c, p):
		return nil, problemNotFound
	case d.offer != nil && !p.same(c.creator):
		return nil, problemNotAllowed
	}
	more := 0
	if d.offer != nil {
		more += len(d.offer) - len(c.offer)
	}
	if d.answer != nil {
		more += len(d.answer) - len(c.answer)
	}
	if refused := b.reserveBytes(c, more, l, problemTooManyBytes); refused != nil {
		return nil, refused
	}
	c.updated = time.Now()
	if d.offer != nil {
		c.offer = d.offer
	}
	var waited []event
	if d.answer != nil {
		first := c.answer == nil
		if first {
			displaced, freed := c.setAnswerer(p)
			b.freeBytes(c, freed)
			b.removeParties(c, displaced)
		}
		c.answer = d.answer
		if first {
			waited = c.candidateEvents(create, answering)
			c.resetTimer(l)
		}
	}
	// Send the answer before the candidates that waited for it.
	b.sendEvents(c, p, append([]event{c.event(update)}, waited...)...)
	return c.record(), nil
}

// addCandidate adds a candidate to one side of a call. A candidate of the answering side is not announced before the call is
// answered.
func (b *book) addCandidate(p person, side int, id string, data []byte) ([]byte, *problem) {
	l := b.limits()
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.calls[id]
	switch {
	case c == nil || c.ended || !b.addParty(c, p):
		return nil, problemNoSuchCall
	case side == offering && !p.same(c.creator):
		return nil, problemNotAllowed
	case len(c.candidates[side]) >= maxCandidates:
		return nil, problemTooManyCandidates
	}
	if refused := b.reserveBytes(c, len(data)+overhead, l, problemTooManyCandidates); refused != nil {
		return nil, refused
	}
	k := candidate{id: newID(), created: time.Now(), signInID: p.signInID, data: data}
	c.candidates[side] = append(c.candidates[side], k)
	if side == answering && c.answer == nil {
		b.metrics.held.Inc()
	} else {
		b.sendEvents(c, p, c.candidateEvent(create, side, k))
	}
	return c.candidateRecord(side, k), nil
}

// hangUp ends a call. If the call has already ended, or never existed, hangUp succeeds, because the page only wants the
// call to be over.
func (b *book) hangUp(p person, id string) *problem {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.calls[id]
	switch {
	case c == nil || c.ended:
		return nil
	case !b.addParty(c, p):
		return problemNotAllowed
	}
	b.endCall(c, hungUp)
	return nil
}

// endCall ends a call and announces the deletion of its records, as PocketBase's cascading delete does. The demo's answerer
// recognizes a hang-up by the deletion of an offer candidate, so endCall makes one up if there is none. The caller holds mu.
func (b *book) endCall(c *call, why endReason) {
	c.ended = true
	if len(c.candidates[offering]) == 0 {
		c.candidates[offering] = []candidate{{id: newID(), created: c.created, data: []byte("null")}}
	}
	var events []event
	for side := range c.candidates {
		for _, k := range c.candidates[side] {
			events = append(events, c.candidateEvent(remove, side, k))
		}
	}
	b.sendEvents(c, person{}, append(events, c.event(remove))...)
	b.freeBytes(c, c.bytes)
	b.active--
	for _, key := range c.countKeys {
		if b.activeByKey[key]--; b.activeByKey[key] <= 0 {
			delete(b.activeByKey, key)
		}
	}
	b.metrics.calls.Dec()
	b.metrics.ended[why].Inc()
	if c.answerer == nil || b.endedCalls >= maxEndedCalls {
		c.timer.Stop()
		b.forgetCall(c)
		return
	}
	// Remember the call and one candidate: an answerer that has not subscribed again yet would otherwise never be notified
	// of the end.
	c.offer, c.answer, c.candidates = nil, nil, [2][]candidate{offering: c.candidates[offering][:1]}
	c.candidates[offering][0].data = []byte("null")
	b.endedCalls++
	c.timer.Reset(endedFor)
}

// forgetCall removes an ended call. The caller holds mu.
func (b *book) forgetCall(c *call) {
	delete(b.calls, c.id)
	b.removeParties(c, c.parties)
}

// onTimer runs when a call's timer fires. It forgets a call that has ended, and ends a call that is due. It sets the timer
// again if the deadline has moved in the meantime.
func (b *book) onTimer(c *call) {
	l := b.limits()
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.ended {
		if b.calls[c.id] == c {
			b.endedCalls--
			b.forgetCall(c)
		}
		return
	}
	if when, why := c.deadline(l); !time.Now().Before(when) {
		b.endCall(c, why)
		return
	}
	c.resetTimer(l)
}

// reserveBytes adds to the bytes that a call counts. If the call would exceed its limit, it returns the problem full. If
// all calls, or those of the creator's address, would exceed theirs, it returns problemStoreFull. more may be negative. The
// caller holds mu.
func (b *book) reserveBytes(c *call, more int, l signal.CallLimits, full *problem) *problem {
	switch {
	case more > 0 && c.bytes+more > l.KeptBytes:
		return full
	case more > 0 && l.KeptTotal > 0 && b.bytes+more > l.KeptTotal,
		more > 0 && l.KeptPerAddr > 0 && b.bytesByAddr[c.countKeys[byAddr]]+more > l.KeptPerAddr:
		return problemStoreFull
	}
	b.freeBytes(c, -more)
	return nil
}

// freeBytes subtracts from the bytes that a call counts. The caller holds mu.
func (b *book) freeBytes(c *call, by int) {
	c.bytes -= by
	b.bytes -= by
	if b.bytesByAddr[c.countKeys[byAddr]] -= by; b.bytesByAddr[c.countKeys[byAddr]] == 0 {
		delete(b.bytesByAddr, c.countKeys[byAddr])
	}
	b.metrics.bytes.Sub(float64(by))
}

// addParty makes p a party to a call, if it may be, and keeps callsBySignIn up to date; see call.addParty. The caller holds
// mu.
func (b *book) addParty(c *call, p person) bool {
	displaced, ok := c.addParty(p)
	if !ok {
		return false
	}
	b.removeParties(c, displaced)
	in := b.callsBySignIn[p.signInID]
	if in == nil {
		in = make(map[*call]struct{})
		b.callsBySignIn[p.signInID] = in
	}
	in[c] = struct{}{}
	return true
}

// removeParties removes a call from callsBySignIn for persons who are no longer parties to it. The caller holds mu.
func (b *book) removeParties(c *call, gone []person) {
	for _, p := range gone {
		in := b.callsBySignIn[p.signInID]
		if delete(in, c); len(in) == 0 {
			delete(b.callsBySignIn, p.signInID)
		}
	}
}
