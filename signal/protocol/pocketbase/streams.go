package pocketbase

import (
	"crypto/sha256"
	"slices"
	"time"

	"icebox/signal"
	"icebox/signal/broker"
)

// subscriber is an event stream and its subscription. The book's mu guards it.
type subscriber struct {
	id     string
	client client
	person *person // nil until the stream subscribes
	topics []topic
	began  time.Time
	expiry *time.Timer // ends the stream when the token that subscribed it expires
}

// maxStreams limits the streams of one sign-in. Each event for the sign-in is written to all of its streams, so every
// further stream would multiply the work that a sender causes.
const maxStreams = 8

// client is the part of signal.Client that the book uses. Neither method blocks.
type client interface {
	Forward(from broker.ID, events []byte) error
	End(signal.Reason)
}

// addStream adds a stream that has no subscription yet.
func (b *book) addStream(id string, c client) *subscriber {
	s := &subscriber{id: id, client: c, began: time.Now()}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams[id] = s
	return s
}

// removeStream removes a stream.
func (b *book) removeStream(s *subscriber) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.streams, s.id)
	b.unbindStream(s)
	if s.expiry != nil {
		s.expiry.Stop()
	}
}

// unbindStream removes a stream from those of its sign-in. The caller holds mu.
func (b *book) unbindStream(s *subscriber) {
	if s.person == nil {
		return
	}
	signIn := s.person.signInID
	all := b.streamsBySignIn[signIn]
	if delete(all, s); len(all) == 0 {
		delete(b.streamsBySignIn, signIn)
	}
	s.person = nil
	for c := range b.callsBySignIn[signIn] {
		b.updateAbsence(c)
	}
}

// endUnsubscribed ends a stream if it has not subscribed yet.
func (b *book) endUnsubscribed(s *subscriber) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.person == nil {
		s.client.End(signal.SignInTimeout)
	}
}

// endInvalid ends the streams of persons for whom valid returns false.
func (b *book) endInvalid(valid func(person) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.streams {
		if s.person != nil && !valid(*s.person) {
			s.client.End(signal.Expired)
		}
	}
}

// subscribe replaces the topics of a stream, and sends it the existing records that the new ones select. The subscription
// lasts until the token of p expires. Subscribing to calls/ID makes p a party to that call, if p may be one.
func (b *book) subscribe(p person, until time.Time, id string, topics []topic) *problem {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.streams[id]
	switch {
	case s == nil:
		return problemNoStream
	case s.person != nil && s.person.user != p.user:
		return problemOtherUser
	}
	added := slices.DeleteFunc(slices.Clone(topics), func(t topic) bool { return slices.Contains(s.topics, t) })
	if s.person != nil && s.person.signInID != p.signInID {
		b.unbindStream(s)
	}
	s.person, s.topics = &p, topics
	if s.expiry != nil {
		s.expiry.Stop()
	}
	s.expiry = time.AfterFunc(time.Until(until), func() { s.client.End(signal.Expired) })
	b.bindStream(s)
	for _, t := range topics {
		if c := b.calls[t.id]; t.collection == calls && c != nil && !c.ended {
			b.addParty(c, p) // if p may not be a party, it receives no events of the call
		}
	}
	b.replay(s, added)
	for c := range b.callsBySignIn[p.signInID] {
		b.updateAbsence(c)
	}
	return nil
}

// bindStream adds a stream to those of its sign-in. If there are more than maxStreams, it ends the oldest, which are
// probably left over from lost connections. The caller holds mu.
func (b *book) bindStream(s *subscriber) {
	all := b.streamsBySignIn[s.person.signInID]
	if all == nil {
		all = make(map[*subscriber]struct{})
		b.streamsBySignIn[s.person.signInID] = all
	}
	all[s] = struct{}{}
	for len(all) > maxStreams {
		oldest := s
		for other := range all {
			if other.began.Before(oldest.began) {
				oldest = other
			}
		}
		delete(all, oldest)
		oldest.client.End(signal.Replaced)
	}
}

// updateAbsence sets absentSince and the timer of a call. It is called when the call has been created, and when a stream of
// a party has ended or subscribed. The caller holds mu.
func (b *book) updateAbsence(c *call) {
	if c.ended {
		return
	}
	present := b.creatorPresent(c)
	switch {
	case present == c.absentSince.IsZero():
		return
	case present:
		c.absentSince = time.Time{}
	default:
		c.absentSince = time.Now()
	}
	c.resetTimer(b.limits())
}

// creatorPresent reports whether the creator of a call has a stream. A stream of another sign-in of the same user counts if
// it has subscribed to this very call, because a sign-in in another tab may have replaced the creator's token. The caller
// holds mu.
func (b *book) creatorPresent(c *call) bool {
	for _, p := range c.parties {
		if !p.same(c.creator) {
			continue
		}
		for s := range b.streamsBySignIn[p.signInID] {
			if p.signInID == c.creator.signInID || slices.ContainsFunc(s.topics, func(t topic) bool { return t.collection == calls && t.id == c.id }) {
				return true
			}
		}
	}
	return false
}

// sendEvents sends events to the streams of the call's parties, in order. The queue of each recipient counts them against
// the share of the person by. If by is the zero person, they count against no share. The caller holds mu.
func (b *book) sendEvents(c *call, by person, events ...event) {
	from := senderID(by.signInID)
	for _, p := range c.parties {
		for s := range b.streamsBySignIn[p.signInID] {
			if text := s.encode(s.topics, events); text != nil && s.client.Forward(from, text) != nil {
				b.metrics.unheard.Inc()
			}
		}
	}
}

// replay sends a stream the existing records that its added topics select, because their events happened before it
// subscribed. For each call, the answer comes before the candidates that need it. For a call that has ended, replay sends
// only the end. The caller holds mu.
func (b *book) replay(s *subscriber, added []topic) {
	if len(added) == 0 {
		return
	}
	in := make([]*call, 0, len(b.callsBySignIn[s.person.signInID]))
	for c := range b.callsBySignIn[s.person.signInID] {
		in = append(in, c)
	}
	slices.SortFunc(in, func(x, y *call) int { return x.created.Compare(y.created) })
	for _, c := range in {
		var events []event
		switch {
		case c.ended:
			events = []event{c.candidateEvent(remove, offering, c.candidates[offering][0])}
		case c.answer != nil:
			events = []event{c.event(update)}
		}
		if !c.ended {
			events = append(events, c.candidateEvents(create, offering)...)
			events = append(events, c.candidateEvents(create, answering)...)
		}
		if text := s.encode(added, events); text != nil {
			_ = s.client.Forward(broker.ID{}, text) // if this fails, the stream is ending; the SDK then opens another and subscribes again
			b.metrics.replays.Inc()
		}
	}
}

// encode returns the events that the topics select in SSE format, or nil if there are none. An event that several topics
// select is written once for each.
func (s *subscriber) encode(topics []topic, events []event) (b []byte) {
	for _, e := range events {
		for _, t := range topics {
			if t.matches(e) {
				b = e.appendTo(b, s.id, t.text)
			}
		}
	}
	return b
}

// senderID returns the ID by which the queues of other clients count the events that a sign-in causes.
func senderID(signIn string) (id broker.ID) {
	if signIn != "" {
		sum := sha256.Sum256([]byte(signIn))
		copy(id[:], sum[:])
	}
	return id
}
