package call

import (
	"bytes"

	"icebox/signal/broker"
)

// maxKept bounds how many messages a call keeps.
const maxKept = 128

// kept is what waits for who joins, by sender in the order of their first message.
type kept struct {
	senders []sent
	bytes   int
	count   int
}

// sent is what one sender has sent.
type sent struct {
	from        broker.Addr
	description *Event
	early, late []Event // candidates, before and after the description came
	others      []Event
}

// overhead is about what a kept message costs beside its data.
const overhead = 160

func size(e Event) int { return overhead + len(e.Data) + len(e.Label) }

// add keeps a message, unless that would be too much.
func (k *kept) add(e Event, most int) (ok bool) {
	s := k.sender(e.From)
	freed, replaces := 0, e.Label == "offer" || e.Label == "answer"
	if replaces && s.description != nil {
		freed = size(*s.description)
		for _, c := range s.late {
			freed += size(c)
		}
	}
	if k.bytes-freed+size(e) > most || k.count >= maxKept && freed == 0 {
		return false
	}
	e.Kind, e.Data = Kept, bytes.Clone(e.Data)
	k.bytes += size(e) - freed
	k.count++
	switch {
	case replaces:
		if s.description != nil {
			k.count -= 1 + len(s.late)
			s.late = nil
		}
		s.description = &e
	case e.Label == "candidate" && s.description == nil:
		s.early = append(s.early, e)
	case e.Label == "candidate":
		s.late = append(s.late, e)
	default:
		s.others = append(s.others, e)
	}
	return true
}

func (k *kept) sender(a broker.Addr) *sent {
	for i := range k.senders {
		if k.senders[i].from == a {
			return &k.senders[i]
		}
	}
	k.senders = append(k.senders, sent{from: a})
	return &k.senders[len(k.senders)-1]
}

// forget drops what a sender has sent.
func (k *kept) forget(a broker.Addr) {
	old := *k
	*k = kept{}
	for _, s := range old.senders {
		if s.from == a {
			continue
		}
		k.senders = append(k.senders, s)
		for _, e := range s.all() {
			k.bytes += size(e)
			k.count++
		}
	}
}

// all returns everything in the order in which a joiner is told.
func (k *kept) all() (events []Event) {
	for i := range k.senders {
		events = append(events, k.senders[i].all()...)
	}
	return events
}

func (s *sent) all() (events []Event) {
	if s.description != nil {
		events = append(events, *s.description)
	}
	return append(append(append(events, s.early...), s.late...), s.others...)
}
