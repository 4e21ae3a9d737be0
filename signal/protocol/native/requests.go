package native

import (
	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/protocol/native/wire"
)

// ackEvery is after how many numbered messages the client is told that they have come.
const ackEvery = 16

// handle does what a message asks for. One that comes on a transport which is no longer the session's is
// left for the client to send again; t is nil for what came on none. What may take its time is returned. The text
// is UTF-8.
func (s *session) handle(t transport, text []byte) (slow func()) {
	if !s.reading.TryLock() { // somebody serves a message that came on another transport
		return func() {
			s.reading.Lock()
			if slow := s.serve(t, text); slow != nil {
				slow()
			}
		}
	}
	return s.serve(t, text)
}

// serve is handle for who holds reading, which is released.
func (s *session) serve(t transport, text []byte) (slow func()) {
	release := true
	defer func() {
		if release {
			s.reading.Unlock()
		}
	}()
	if t != nil && !s.carriedBy(t) {
		return nil
	}
	r, ok := wire.Decode(text)
	if r.Ack > 0 {
		s.mu.Lock()
		s.kept.ack(min(r.Ack, s.kept.last))
		s.client.Cover(&s.loan, s.kept.bytes)
		s.mu.Unlock()
	}
	if r.Seq > 0 && !s.inTurn(&r) {
		return nil
	}
	switch {
	case !ok:
		s.tell(failure(&r, s.refused(signal.ErrBadMessage)))
	case waits[r.Type]:
		release = false
		return func() {
			defer s.reading.Unlock()
			s.answer(&r)
			s.acknowledge()
		}
	default:
		s.answer(&r)
	}
	s.acknowledge()
	return nil
}

// waits are the requests that ask somebody else: who verifies tokens.
var waits = map[string]bool{wire.Renew: true}

func (s *session) acknowledge() {
	if s.unacked >= ackEvery {
		s.sendAck(wire.Ack)
	}
}

// inTurn reports whether a numbered message is the next one.
func (s *session) inTurn(r *wire.Request) bool {
	switch r.Type {
	case wire.Hello, wire.Ack, wire.Ping, wire.Bye:
		return true
	}
	switch had := s.received.Load(); {
	case r.Seq <= had:
		return false
	case r.Seq > had+1:
		m := failure(r, s.refused(signal.ErrOutOfOrder))
		m.Ack = had
		s.tell(m)
		return false
	}
	s.received.Store(r.Seq)
	s.unacked++
	return true
}

func (s *session) sendAck(kind string) {
	s.unacked = 0
	s.tellNow(&wire.Message{Type: kind, Ack: s.received.Load()})
}

// refused counts a refusal.
func (s *session) refused(e *signal.Error) *signal.Error {
	s.handler.hub.Refuse(e)
	return e
}

// answer does what a request asks for, and tells the client about it where the request wants to know.
func (s *session) answer(r *wire.Request) {
	told := false
	var err error
	switch r.Type {
	case wire.Ack:
		return
	case wire.Ping:
		s.sendAck(wire.Pong)
		return
	case wire.Bye:
		s.client.End(signal.Gone)
		return
	case wire.Create:
		err, told = s.create(r), true
	case wire.Join:
		err, told = s.join(r), true
	case wire.ICE:
		err, told = s.sendICE(r), true
	default:
		err = s.do(r)
	}
	switch {
	case err != nil:
		s.tell(failure(r, refusal(err)))
	case !told && r.Ref != nil:
		s.tell(&wire.Message{Type: wire.OK, Ref: r.Ref})
	}
}

// do does what has no answer of its own. Refusals have been counted.
func (s *session) do(r *wire.Request) error {
	switch r.Type {
	case wire.Send:
		return s.send(r)
	case wire.Watch:
		return s.client.Watch(r.Names)
	case wire.Unwatch:
		s.client.Unwatch(r.Names)
		return nil
	case wire.Leave, wire.Hangup:
		return s.part(r)
	case wire.Renew:
		return s.renew(r)
	case wire.Hello:
		return s.refused(signal.ErrSignedIn)
	case "":
		return s.refused(signal.ErrBadMessage)
	default:
		return s.refused(signal.ErrUnknownType)
	}
}

// kinds of messages that clients of other protocols know too.
var kinds = map[string]broker.Kind{
	wire.KindOffer: broker.Offer, wire.KindAnswer: broker.Answer,
	wire.KindCandidate: broker.Candidate, wire.KindLeave: broker.Leave,
}

// send passes a message on.
func (s *session) send(r *wire.Request) error {
	if !wire.ValidKind(r.Kind) || r.Kind != wire.KindLeave && r.Data == nil {
		return s.refused(signal.ErrBadMessage)
	}
	var to signal.Recipient
	if r.ToID != "" {
		var ok bool
		if to.Addr, ok = broker.ParseAddr(r.ToID); !ok {
			return s.refused(signal.ErrPeerOffline)
		}
	}
	if r.Call != "" {
		return s.sendInCall(r, to.Addr)
	}
	if to.Name = r.To; to.Name == "" && to.Addr.IsZero() {
		return s.refused(signal.ErrBadMessage)
	}
	m := broker.Message{Kind: broker.Note, Label: r.Kind, Payload: r.Data}
	if kind, ok := kinds[r.Kind]; ok {
		m.Kind, m.Label = kind, ""
	}
	if m.Kind == broker.Leave {
		m.Payload = nil
	}
	return s.client.SendTo(to, m)
}

// sendICE answers a request for ICE servers.
func (s *session) sendICE(r *wire.Request) error {
	if r.Call != "" && !s.handler.calls.Member(s.client.Addr(), r.Call) {
		return s.refused(signal.ErrNotInCall)
	}
	m := &wire.Message{Type: wire.ICE, Ref: r.Ref, Call: r.Call}
	s.addICE(s.handler.hub.Context(), m)
	s.tell(m)
	return nil
}
