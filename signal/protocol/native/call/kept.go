package call

import (
	"bytes"
	"net/netip"

	"icebox/signal"
	"icebox/signal/broker"
)

// maxKept bounds how many messages a call keeps.
const maxKept = 128

// kept is what waits for who joins, by sender in the order of their first message.
type keptMessages struct {
	senders []senderMessages
	bytes   int
	count   int
}

// senderMessages is what one sender has sent.
type senderMessages struct {
	from        broker.Addr
	addrKey     netip.Addr
	description *Event
	early, late []Event // candidates, before and after the description came
	others      []Event
}

// overhead is about what a kept message costs beside its data.
const overhead = 160

func size(e Event) int { return overhead + len(e.Data) + len(e.Label) }

// addEvent keeps a message, unless that would be too much for the call, or for spend, which is asked for the bytes then.
func (k *keptMessages) addEvent(e Event, addrKey netip.Addr, maxBytes int, spend func(bytes int) bool) error {
	s := k.sender(e.From, addrKey)
	freed, replaces := 0, e.Label == "offer" || e.Label == "answer"
	if replaces && s.description != nil {
		freed = size(*s.description)
		for _, c := range s.late {
			freed += size(c)
		}
	}
	if k.bytes-freed+size(e) > maxBytes || k.count >= maxKept && freed == 0 {
		return signal.ErrCallCrowded
	}
	if !spend(size(e) - freed) {
		return signal.ErrCallsCrowded
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
	return nil
}

func (k *keptMessages) sender(a broker.Addr, addrKey netip.Addr) *senderMessages {
	for i := range k.senders {
		if k.senders[i].from == a {
			return &k.senders[i]
		}
	}
	k.senders = append(k.senders, senderMessages{from: a, addrKey: addrKey})
	return &k.senders[len(k.senders)-1]
}

// forget drops what senders have sent, and tells refund how much that was.
func (k *keptMessages) forget(which func(broker.Addr) bool, refund func(addrKey netip.Addr, bytes int)) {
	old := *k
	*k = keptMessages{}
	for _, s := range old.senders {
		events, bytes := s.all(), 0
		for _, e := range events {
			bytes += size(e)
		}
		if which(s.from) {
			refund(s.addrKey, bytes)
			continue
		}
		k.senders = append(k.senders, s)
		k.bytes += bytes
		k.count += len(events)
	}
}

// all returns everything in the order in which a joiner is told.
func (k *keptMessages) all() (events []Event) {
	for i := range k.senders {
		events = append(events, k.senders[i].all()...)
	}
	return events
}

func (s *senderMessages) all() (events []Event) {
	if s.description != nil {
		events = append(events, *s.description)
	}
	return append(append(append(events, s.early...), s.late...), s.others...)
}
