package pocketbase

import (
	"crypto/sha256"
	"slices"
	"time"

	"icebox/signal"
	"icebox/signal/broker"
)

// subscriber is a stream as the book knows it.
type subscriber struct {
	id     string
	client client
	person *person // nil until it has said what it wants
	topics []topic
	began  time.Time
	expiry *time.Timer // ends it with the token that it was subscribed with
}

// maxStreams of a session hear of its calls. What is sent once to a party is written to each of them.
const maxStreams = 8

// client is a signal.Client: neither method blocks.
type client interface {
	Forward(from broker.ID, events []byte) error
	End(signal.Reason)
}

// addStream adds a stream, which hears of nothing yet.
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

// unbindStream takes a stream out of its session's.
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

// endUnsubscribed ends a stream that has not said what it wants.
func (b *book) endUnsubscribed(s *subscriber) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.person == nil {
		s.client.End(signal.SignInTimeout)
	}
}

// endInvalid ends the streams of those who are no longer good.
func (b *book) endInvalid(good func(person) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.streams {
		if s.person != nil && !good(*s.person) {
			s.client.End(signal.Expired)
		}
	}
}

// subscribe replaces what a stream hears of, for as long as its client's token is good, and tells it of what was there before.
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
			b.addParty(c, p) // who may not simply hears nothing
		}
	}
	b.replay(s, added)
	for c := range b.callsBySignIn[p.signInID] {
		b.updateAbsence(c)
	}
	return nil
}

// bindStream puts a stream among its session's, whose oldest ones end if there are too many: it is probably what a lost connection has left.
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

// updateAbsence notes whether a stream of the call's maker is there.
func (b *book) updateAbsence(c *call) {
	if c.ended {
		return
	}
	attended := b.creatorPresent(c)
	switch {
	case attended == c.absentSince.IsZero():
		return
	case attended:
		c.absentSince = time.Time{}
	default:
		c.absentSince = time.Now()
	}
	c.resetTimer(b.limits())
}

// creatorPresent reports whether there is a stream in the maker's session, or one of the same user that hears of this very call: another
// tab's sign-in may have replaced the maker's token.
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

// sendEvents tells the parties of a call what has happened, in order. The caller holds mu.
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

// replay tells a stream of the records that its new topics are about: whoever comes late has missed them. An answer comes before the
// candidates that need it, and of a call that has ended comes the end.
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
			_ = s.client.Forward(broker.ID{}, text) // who doesn't take it is being cut off, and comes again
			b.metrics.replays.Inc()
		}
	}
}

// text has the events that the topics want, nil if there are none.
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

// sender is whom the queues of others count a session's events by.
func senderID(signIn string) (id broker.ID) {
	if signIn != "" {
		sum := sha256.Sum256([]byte(signIn))
		copy(id[:], sum[:])
	}
	return id
}
