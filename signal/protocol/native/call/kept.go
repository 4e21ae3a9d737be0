package call

import (
	"bytes"
	"net/netip"

	"icebox/signal"
	"icebox/signal/broker"
)

// maxKept is how many messages a call keeps at most.
const maxKept = 128

// keptMessages are the messages that a call keeps for the next client that joins. The call's lock guards them.
type keptMessages struct {
	senders []senderMessages // in the order of their first messages
	bytes   int              // of all messages, as counted by size
	count   int              // of all messages
}

// senderMessages are the kept messages of one sender.
type senderMessages struct {
	from        broker.Addr
	addrKey     netip.Addr
	description *Event  // the latest offer or answer
	early, late []Event // candidates that were sent before and after the first description
	others      []Event
}

// overhead is roughly how many bytes of memory a kept message takes in addition to its label and data.
const overhead = 160

// size returns how many bytes a kept message counts for.
func size(e Event) int { return overhead + len(e.Data) + len(e.Label) }

// addEvent keeps a message. It fails if the call would keep more than maxBytes bytes or maxKept messages, or if spend
// returns false. spend counts the additional bytes against the limits of all calls; a negative number of bytes gives some
// back.
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

// sender returns the kept messages of the sender with address a. If there are none yet, it adds an empty entry. The pointer
// is valid until the next call.
func (k *keptMessages) sender(a broker.Addr, addrKey netip.Addr) *senderMessages {
	for i := range k.senders {
		if k.senders[i].from == a {
			return &k.senders[i]
		}
	}
	k.senders = append(k.senders, senderMessages{from: a, addrKey: addrKey})
	return &k.senders[len(k.senders)-1]
}

// forget drops the messages of all senders for which which returns true, and gives their bytes back by calling refund.
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

// all returns all messages in the order in which a joiner receives them.
func (k *keptMessages) all() (events []Event) {
	for i := range k.senders {
		events = append(events, k.senders[i].all()...)
	}
	return events
}

// all returns the messages of one sender in the order in which a joiner receives them: the description, then the
// candidates, which are of no use before it, then the others.
func (s *senderMessages) all() (events []Event) {
	if s.description != nil {
		events = append(events, *s.description)
	}
	return append(append(append(events, s.early...), s.late...), s.others...)
}
