package pocketbase

import (
	"slices"
	"time"

	"icebox/signal"
)

// The sides of a call.
const (
	offering  = 0
	answering = 1
)

// Indexes of call.countKeys.
const (
	bySignIn = iota
	byUser
	byAddr
)

// collectionOf names the collection that holds the candidates of a side.
var collectionOf = [2]string{offering: offerCandidates, answering: answerCandidates}

const (
	maxCandidates = 128 // per side of a call
	maxReaders    = 8   // parties to an unanswered call beside its creator; a further one displaces the earliest
)

// candidate is an ICE candidate of one side of a call.
type candidate struct {
	id       string
	created  time.Time
	signInID string // of the client that sent it
	data     []byte // a JSON object
}

// call is a call record and its candidates. The book's mu guards it.
type call struct {
	id               string
	created, updated time.Time
	countKeys        [3]string // the keys in book.activeByKey that the call counts for

	creator  person
	answerer *person
	// parties receive the call's events. The creator is the first. Until the call is answered, everyone who has read it is a
	// party.
	parties []person

	offer, answer []byte
	candidates    [2][]candidate
	bytes         int // the size of the records in bytes, overhead included

	absentSince time.Time   // when the creator's last stream ended; zero while the creator has a stream
	timer       *time.Timer // calls book.onTimer at the deadline
	ended       bool        // the call has ended; it is kept to notify parties that have not received the end
}

// record returns the call as clients see it.
func (c *call) record() []byte {
	b := make([]byte, 0, 300+len(c.offer)+len(c.answer))
	b = appendRecord(b, calls, c.id, c.created, c.updated)
	b = appendMember(b, "user_id", quote(c.creator.user))
	b = appendMember(b, "offer", c.offer)
	return append(appendMember(b, "answer", c.answer), '}')
}

func (c *call) event(action string) event {
	return event{action: action, collection: calls, id: c.id, record: c.record()}
}

func (c *call) candidateRecord(side int, k candidate) []byte {
	b := make([]byte, 0, 250+len(k.data))
	b = appendRecord(b, collectionOf[side], k.id, k.created, k.created)
	b = appendMember(b, "call_id", quote(c.id))
	return append(appendMember(b, "data", k.data), '}')
}

func (c *call) candidateEvent(action string, side int, k candidate) event {
	return event{action: action, collection: collectionOf[side], id: k.id, record: c.candidateRecord(side, k)}
}

// candidateEvents returns an event for each candidate of a side. For the answering side there are none before the answer,
// because a browser cannot apply a candidate without it.
func (c *call) candidateEvents(action string, side int) []event {
	if side == answering && c.answer == nil {
		return nil
	}
	events := make([]event, 0, len(c.candidates[side]))
	for _, k := range c.candidates[side] {
		events = append(events, c.candidateEvent(action, side, k))
	}
	return events
}

// addParty makes p a party to the call and reports whether p may be one. The request has named the call's ID. Before the
// call is answered, that is sufficient. Afterwards only the creator and the answerer may be parties. If there are too many
// readers, the earliest is displaced and returned.
func (c *call) addParty(p person) (displaced []person, ok bool) {
	if c.answerer != nil && !p.same(c.creator) && !p.same(*c.answerer) {
		return nil, false
	}
	if slices.ContainsFunc(c.parties, func(known person) bool { return known.signInID == p.signInID }) {
		return nil, true
	}
	if len(c.parties) > maxReaders {
		displaced = []person{c.parties[1]}
		c.parties = slices.Delete(c.parties, 1, 2)
	}
	c.parties = append(c.parties, p)
	return displaced, true
}

// setAnswerer makes p the answerer. It drops the readers that are neither p nor the creator, and the candidates of every
// sign-in but p's. It returns the dropped readers and the number of bytes that the candidates counted.
func (c *call) setAnswerer(p person) (displaced []person, freed int) {
	c.answerer = &p
	c.parties = slices.DeleteFunc(c.parties, func(other person) bool {
		unrelated := !other.same(c.creator) && !other.same(p)
		if unrelated {
			displaced = append(displaced, other)
		}
		return unrelated
	})
	c.candidates[answering] = slices.DeleteFunc(c.candidates[answering], func(k candidate) bool {
		unrelated := k.signInID != p.signInID
		if unrelated {
			freed += len(k.data) + overhead
		}
		return unrelated
	})
	return displaced, freed
}

// deadline returns when the call ends if nothing else happens, and for which reason.
func (c *call) deadline(l signal.CallLimits) (when time.Time, why endReason) {
	when, why = c.created.Add(maxAge), tooOld
	if c.answer == nil {
		when, why = c.created.Add(l.Unjoined), unanswered
	}
	if limit := c.absentSince.Add(absenceLimit); !c.absentSince.IsZero() && limit.Before(when) {
		when, why = limit, deserted
	}
	return when, why
}

// resetTimer sets the timer to the deadline of the call.
func (c *call) resetTimer(l signal.CallLimits) {
	when, _ := c.deadline(l)
	c.timer.Reset(time.Until(when))
}
