package native

import (
	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/protocol/native/wire"
)

// ackEvery is how many numbered messages the server receives before it acknowledges them.
const ackEvery = 16

// handleMessage handles a message from the client, which is UTF-8. t is the transport that it came on, or nil for a POST.
// If t is no longer the session's transport, handleMessage drops the message. If the message is numbered, the client sends
// it again on the new transport. The part of the work that may block is returned as slow, because the caller may be the
// goroutine that polls all WebSockets.
func (s *session) handleMessage(t transport, text []byte) (slow func()) {
	if !s.requestMu.TryLock() { // a message from another transport is being handled
		return func() {
			s.requestMu.Lock()
			if slow := s.handleLocked(t, text); slow != nil {
				slow()
			}
		}
	}
	return s.handleLocked(t, text)
}

// handleLocked is handleMessage with requestMu held. It unlocks requestMu, or lets slow do so.
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
		s.client.Reserve(&s.reserved, s.replay.bytes)
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

// slowRequests are the requests that may block: renew verifies a token, which may need the network.
var slowRequests = map[string]bool{wire.Renew: true}

// sendDueAck sends an ack if ackEvery messages have come since the last one. The caller holds requestMu.
func (s *session) sendDueAck() {
	if s.sinceAck >= ackEvery {
		s.sendAck(wire.Ack)
	}
}

// isNextInOrder reports whether a numbered message should be handled now. It returns false for a message that the server
// has already received, and for one that skips a number, which it refuses. The caller holds requestMu.
func (s *session) isNextInOrder(r *wire.Request) bool {
	switch r.Type {
	case wire.Hello, wire.Ack, wire.Ping, wire.Bye:
		return true
	}
	switch received := s.received.Load(); {
	case r.Seq <= received:
		return false
	case r.Seq > received+1:
		m := errorMessage(r, s.countRefusal(signal.ErrOutOfOrder))
		m.Ack = received
		s.sendMessage(m)
		return false
	}
	s.received.Store(r.Seq)
	s.sinceAck++
	return true
}

// sendAck sends an ack or a pong, which acknowledge all messages received so far. The caller holds requestMu.
func (s *session) sendAck(kind string) {
	s.sinceAck = 0
	s.sendUnnumbered(&wire.Message{Type: kind, Ack: s.received.Load()})
}

// countRefusal counts a refusal and returns it.
func (s *session) countRefusal(e *signal.Error) *signal.Error {
	s.handler.hub.CountRefusal(e)
	return e
}

// respond carries out a request and sends the response, if there is one. The caller holds requestMu.
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

// doRequest carries out a request whose response is ok or an error. It has counted the refusal that it returns.
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

// kinds are the kinds of messages that clients of other protocols know too. All others are notes.
var kinds = map[string]broker.Kind{
	wire.KindOffer: broker.Offer, wire.KindAnswer: broker.Answer,
	wire.KindCandidate: broker.Candidate, wire.KindLeave: broker.Leave,
}

// send passes a message on to another client or to the others in a call.
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

// sendICE sends the client ICE servers, because it asked for some.
func (s *session) sendICE(r *wire.Request) error {
	if r.Call != "" && !s.handler.calls.Member(s.client.Addr(), r.Call) {
		return s.countRefusal(signal.ErrNotInCall)
	}
	m := &wire.Message{Type: wire.ICE, Ref: r.Ref, Call: r.Call}
	s.addICE(s.handler.hub.DoneContext(), m)
	s.sendMessage(m)
	return nil
}
