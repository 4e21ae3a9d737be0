package pocketbase

import (
	"net/netip"
	"sync"
	"time"

	"icebox/signal"
)

const (
	absenceLimit  = time.Minute     // without a stream of its creator, after which a call ends
	maxAge        = 24 * time.Hour  // of a call that was answered
	endedFor      = 2 * time.Minute // for which the parties of an ended call are still told when they come back
	replaceAfter  = 5 * time.Second // after which a call whose creator has no stream may be replaced
	overhead      = 256             // bytes of a record beside what is in it
	maxEndedCalls = 10_000          // calls that have ended
	shareDivisor  = 16              // one user or address has at most one in so many of all calls that may be, or
	minShare      = 64              // this many, if that is more
)

// book has all calls of a process, and who hears of them. Its methods may be called by any goroutine; what they return is the caller's.
type book struct {
	limits  func() signal.CallLimits
	metrics *metrics

	mu              sync.Mutex
	calls           map[string]*call
	active          int
	endedCalls      int
	bytes           int
	bytesByAddr     map[string]int                      // bytes of calls, by their makers' addresses
	activeByKey     map[string]int                      // of calls that are alive, by session, user and address
	callsBySignIn   map[string]map[*call]struct{}       // by session
	streams         map[string]*subscriber              // by ID
	streamsBySignIn map[string]map[*subscriber]struct{} // by session
}

func newBook(limits func() signal.CallLimits, m *metrics) *book {
	return &book{
		limits: limits, metrics: m, calls: make(map[string]*call), activeByKey: make(map[string]int), bytesByAddr: make(map[string]int),
		callsBySignIn: make(map[string]map[*call]struct{}), streams: make(map[string]*subscriber), streamsBySignIn: make(map[string]map[*subscriber]struct{}),
	}
}

// createCall makes a call, perhaps with an offer.
func (b *book) createCall(p person, from netip.Addr, d descriptions) ([]byte, *problem) {
	l, now := b.limits(), time.Now()
	c := &call{
		id: newID(), created: now, updated: now, absentSince: now, creator: p, offer: d.offer,
		countKeys: [3]string{"session " + p.signInID, "user " + p.user, "address " + from.String()},
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

// withinCallLimits reports whether there may be one more call of this maker.
func (b *book) withinCallLimits(c *call, l signal.CallLimits) bool {
	most := max(minShare, l.Total/shareDivisor)
	ofUser := most
	if l.OnePerUser {
		ofUser = 1
	}
	return (l.Total == 0 || b.active < l.Total) && b.activeByKey[c.countKeys[bySignIn]] < l.PerClient && b.activeByKey[c.countKeys[byUser]] < ofUser &&
		b.activeByKey[c.countKeys[byAddr]] < most
}

// replaceableCall returns the oldest call of somebody who has made it and gone, as a page that was reloaded has.
func (b *book) replaceableCall(p person, now time.Time) (oldest *call) {
	for _, c := range b.calls {
		gone := !c.ended && !c.absentSince.IsZero() && now.Sub(c.absentSince) >= replaceAfter
		if gone && c.creator.same(p) && (oldest == nil || c.created.Before(oldest.created)) {
			oldest = c
		}
	}
	return oldest
}

// readCall returns a call to who knows its ID, and so becomes a party.
func (b *book) readCall(p person, id string) ([]byte, *problem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.calls[id]
	if c == nil || c.ended || !b.addParty(c, p) {
		return nil, problemNotFound
	}
	return c.record(), nil
}

// updateCall writes an offer or an answer.
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
			gone, freed := c.setAnswerer(p)
			b.freeBytes(c, freed)
			b.removeParties(c, gone)
		}
		c.answer = d.answer
		if first {
			waited = c.candidateEvents(create, answering)
			c.resetTimer(l)
		}
	}
	// The answer goes before the candidates that waited for it.
	b.sendEvents(c, p, append([]event{c.event(update)}, waited...)...)
	return c.record(), nil
}

// addCandidate makes a candidate.
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

// hangUp ends a call. That it has ended already is what its party wants.
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

// endCall ends a call and tells its parties as PocketBase's cascade does. Answerers take the end of an offer's candidate for a hang-up, so
// there is always one. The caller holds mu.
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
	// Who is just about to listen would never hear of the end.
	c.offer, c.answer, c.candidates = nil, nil, [2][]candidate{offering: c.candidates[offering][:1]}
	c.candidates[offering][0].data = []byte("null")
	b.endedCalls++
	c.timer.Reset(endedFor)
}

// forgetCall forgets a call that has ended.
func (b *book) forgetCall(c *call) {
	delete(b.calls, c.id)
	b.removeParties(c, c.parties)
}

// expire is what a call's timer does.
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

// grow counts more bytes of a call, which may be below 0, or refuses them.
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

func (b *book) freeBytes(c *call, by int) {
	c.bytes -= by
	b.bytes -= by
	if b.bytesByAddr[c.countKeys[byAddr]] -= by; b.bytesByAddr[c.countKeys[byAddr]] == 0 {
		delete(b.bytesByAddr, c.countKeys[byAddr])
	}
	b.metrics.bytes.Sub(float64(by))
}

// addParty is call.admit, and notes who is in which call.
func (b *book) addParty(c *call, p person) bool {
	gone, ok := c.addParty(p)
	if !ok {
		return false
	}
	b.removeParties(c, gone)
	in := b.callsBySignIn[p.signInID]
	if in == nil {
		in = make(map[*call]struct{})
		b.callsBySignIn[p.signInID] = in
	}
	in[c] = struct{}{}
	return true
}

// removeParties notes that a call is no longer theirs.
func (b *book) removeParties(c *call, gone []person) {
	for _, p := range gone {
		in := b.callsBySignIn[p.signInID]
		if delete(in, c); len(in) == 0 {
			delete(b.callsBySignIn, p.signInID)
		}
	}
}
