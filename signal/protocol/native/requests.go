package native

import (
	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/protocol/native/wire"
)

// ackEvery is after how many numbered messages the client is told that they have come.
const ackEvery = 16

// handleMessage does what a message asks for. One that comes on a transport which is no longer the session's is
// left for the client to send again; t is nil for what came on none. What may take its time is returned. The text
// is UTF-8.
func (s *session) handleMessage(t transport, text []byte) (slow func()) {
	if !s.requestMu.TryLock() { // somebody serves a message that came on another transport
		return func() {
			s.requestMu.Lock()
			if slow := s.handleLocked(t, text); slow != nil {
				slow()
			}
		}
	}
	return s.handleLocked(t, text)
}

// handleLocked is handle for who holds reading, which is released.
func (s *session) handleLocked(t transport, text []byte) (slow func()) {
	release := true
	defer func() {
		if release {
			s.requestMu.Unlock()
		}
	}()
	if t != nil && !s.isTransport(t) {
		return nil
	}
	r, ok := wire.Decode(text)
	if r.Ack > 0 {
		s.mu.Lock()
		s.replay.ack(min(r.Ack, s.replay.lastSeq))
		s.client.Reserve(&s.loan, s.replay.bytes)
		s.mu.Unlock()
	}
	if r.Seq > 0 && !s.isNextInOrder(&r) {
		return nil
	}
	switch {
	case !ok:
		s.sendMessage(errorMessage(&r, s.countRefusal(signal.ErrBadMessage)))
	case slowRequests[r.Type]:
		release = false
		return func() {
			defer s.requestMu.Unlock()
			s.respond(&r)
			s.sendDueAck()
		}
	default:
		s.respond(&r)
	}
	s.sendDueAck()
	return nil
}

// slowRequests are the requests that ask somebody else: who verifies tokens.
var slowRequests = map[string]bool{wire.Renew: true}

func (s *session) sendDueAck() {
	if s.sinceAck >= ackEvery {
		s.sendAck(wire.Ack)
	}
}

// isNextInOrder reports whether a numbered message is the next one.
func (s *session) isNextInOrder(r *wire.Request) bool {
	switch r.Type {
	case wire.Hello, wire.Ack, wire.Ping, wire.Bye:
		return true
	}
	switch had := s.received.Load(); {
	case r.Seq <= had:
		return false
	case r.Seq > had+1:
		m := errorMessage(r, s.countRefusal(signal.ErrOutOfOrder))
		m.Ack = had
		s.sendMessage(m)
		return false
	}
	s.received.Store(r.Seq)
	s.sinceAck++
	return true
}

func (s *session) sendAck(kind string) {
	s.sinceAck = 0
	s.sendUnnumbered(&wire.Message{Type: kind, Ack: s.received.Load()})
}

// countRefusal counts a refusal.
func (s *session) countRefusal(e *signal.Error) *signal.Error {
	s.handler.hub.CountRefusal(e)
	return e
}

// respond does what a request asks for, and tells the client about it where the request wants to know.
func (s *session) respond(r *wire.Request) {
	replied := false
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
		err, replied = s.createCall(r), true
	case wire.Join:
		err, replied = s.joinCall(r), true
	case wire.ICE:
		err, replied = s.sendICE(r), true
	default:
		err = s.doRequest(r)
	}
	switch {
	case err != nil:
		s.sendMessage(errorMessage(r, clientError(err)))
	case !replied && r.Ref != nil:
		s.sendMessage(&wire.Message{Type: wire.OK, Ref: r.Ref})
	}
}

// doRequest does what has no answer of its own. Refusals have been counted.
func (s *session) doRequest(r *wire.Request) error {
	switch r.Type {
	case wire.Send:
		return s.send(r)
	case wire.Watch:
		return s.client.Watch(r.Names)
	case wire.Unwatch:
		s.client.Unwatch(r.Names)
		return nil
	case wire.Leave, wire.Hangup:
		return s.leaveCall(r)
	case wire.Renew:
		return s.renewToken(r)
	case wire.Hello:
		return s.countRefusal(signal.ErrSignedIn)
	case "":
		return s.countRefusal(signal.ErrBadMessage)
	default:
		return s.countRefusal(signal.ErrUnknownType)
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
		return s.countRefusal(signal.ErrBadMessage)
	}
	var to signal.Recipient
	if r.ToID != "" {
		var ok bool
		if to.Addr, ok = broker.ParseAddr(r.ToID); !ok {
			return s.countRefusal(signal.ErrPeerOffline)
		}
	}
	if r.Call != "" {
		return s.sendInCall(r, to.Addr)
	}
	if to.Name = r.To; to.Name == "" && to.Addr.IsZero() {
		return s.countRefusal(signal.ErrBadMessage)
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
		return s.countRefusal(signal.ErrNotInCall)
	}
	m := &wire.Message{Type: wire.ICE, Ref: r.Ref, Call: r.Call}
	s.addICE(s.handler.hub.DoneContext(), m)
	s.sendMessage(m)
	return nil
}
