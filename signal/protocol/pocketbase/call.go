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

// collectionOf is where the candidates of a side are.
var collectionOf = [2]string{offering: offerCandidates, answering: answerCandidates}

const (
	maxCandidates = 128 // of one side
	maxReaders    = 8   // who have read an unanswered call; the first of them are forgotten
)

// candidate is a record of a side.
type candidate struct {
	id       string
	created  time.Time
	signInID string // that made it
	data     []byte
}

// call is a record and the candidates that hang from it. The book's lock guards it.
type call struct {
	id               string
	created, updated time.Time
	countKeys        [3]string // what it counts against, see Book.counts

	creator  person
	answerer *person
	parties  []person // who is told, the creator first; as long as there is no answer, everybody who has read the call

	offer, answer []byte
	candidates    [2][]candidate
	bytes         int // of all that parties have written

	absentSince time.Time // since when no stream of the creator is there; zero while one is
	timer       *time.Timer
	ended       bool // it is kept for who has yet to hear of its end
}

// record is the call as clients see it.
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

// candidateEvents are those of a side that may be heard of: an answerer's have to wait for the answer, without which
// they can't be applied.
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

// addParty notes that somebody who knows the call's ID asks for it, and reports whether it may: anybody as long as there is no answer,
// then the maker and the answerer. Whoever has been forgotten for it is among gone.
func (c *call) addParty(p person) (gone []person, ok bool) {
	if c.answerer != nil && !p.same(c.creator) && !p.same(*c.answerer) {
		return nil, false
	}
	if slices.ContainsFunc(c.parties, func(known person) bool { return known.signInID == p.signInID }) {
		return nil, true
	}
	if len(c.parties) > maxReaders {
		gone = []person{c.parties[1]}
		c.parties = slices.Delete(c.parties, 1, 2)
	}
	c.parties = append(c.parties, p)
	return gone, true
}

// setAnswerer makes p the answerer: who else has read the call is nobody any more, nor are its candidates, which had so many bytes.
func (c *call) setAnswerer(p person) (gone []person, freed int) {
	c.answerer = &p
	c.parties = slices.DeleteFunc(c.parties, func(other person) bool {
		unrelated := !other.same(c.creator) && !other.same(p)
		if unrelated {
			gone = append(gone, other)
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
	return gone, freed
}

// due is when the call ends if nothing happens, and why.
func (c *call) deadline(l signal.CallLimits) (when time.Time, why endReason) {
	when, why = c.created.Add(maxAge), tooOld
	if c.answer == nil {
		when, why = c.created.Add(l.Unjoined), unanswered
	}
	if gone := c.absentSince.Add(absenceLimit); !c.absentSince.IsZero() && gone.Before(when) {
		when, why = gone, deserted
	}
	return when, why
}

// resetTimer sets the timer.
func (c *call) resetTimer(l signal.CallLimits) {
	when, _ := c.deadline(l)
	c.timer.Reset(time.Until(when))
}
