package native

import (
	"net/netip"
	"slices"

	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/protocol/native/call"
	"icebox/signal/protocol/native/wire"
)

// party is a session as a party of calls.
type party struct{ *session }

// Addr implements call.Party.
func (p party) Addr() broker.Addr { return p.client.Addr() }

// Name implements call.Party.
func (p party) Name() string { return p.client.Name() }

// AddrKey implements call.Party.
func (p party) AddrKey() netip.Addr { return p.client.AddrKey() }

// User implements call.Party. Each client without a name is a user of its own.
func (p party) User() string {
	if name := p.client.Name(); name != "" {
		return name
	}
	return "\x00" + p.client.Addr().String() // no name begins with \x00
}

// Notify implements call.Party. It refuses a message if too many of the same sender's wait for the client. It never
// refuses other events: if the client's queue is full, the hub ends the client as a slow reader.
func (p party) Notify(e call.Event) error {
	from := ""
	if !e.From.IsZero() {
		from = e.From.String()
	}
	switch e.Kind {
	case call.Message:
		return p.client.Forward(e.From.Client, wire.AppendDelivery(nil, e.Call, from, e.FromName, e.Label, e.Data))
	case call.Kept:
		p.client.Send(wire.AppendDelivery(nil, e.Call, from, e.FromName, e.Label, e.Data))
	case call.Joined:
		p.sendMessage(&wire.Message{Type: wire.PartyJoined, Call: e.Call, ID: from, Name: e.FromName})
	case call.Left, call.Gone:
		p.sendMessage(&wire.Message{Type: wire.PartyLeft, Call: e.Call, ID: from, Name: e.FromName, Reason: e.Kind.Reason()})
	default:
		p.stopCallRefresh(e.Call)
		p.sendMessage(&wire.Message{Type: wire.Ended, Call: e.Call, From: from, FromName: e.FromName, Reason: e.Kind.Reason()})
	}
	return nil
}

// currentGrant returns the grant of the client's latest token.
func (s *session) currentGrant() signal.Grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grant
}

// createCall creates a call with the client in it. The ICE servers can be requested only afterwards, because their
// credential contains the call's ID. Nobody can join in the meantime, because nobody knows the ID yet.
func (s *session) createCall(r *wire.Request) error {
	if s.currentGrant().Limited {
		return s.countRefusal(signal.ErrCallBarred)
	}
	var m *wire.Message
	err := s.handler.calls.Create(party{s}, r.Max, func(i call.Info) {
		m = s.callMessage(wire.Created, r, i)
		m.Until = i.Until.Unix()
	})
	if err != nil {
		return s.countRefusal(clientError(err))
	}
	s.addICE(s.handler.hub.DoneContext(), m)
	s.sendMessage(m)
	s.dropIfClosed()
	return nil
}

// dropIfClosed takes the session out of its calls if it has ended. It is called after a call is created or joined,
// because finish may have run before that.
func (s *session) dropIfClosed() {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		s.handler.calls.Drop(party{s})
	}
}

// joinCall puts the client into a call. The ICE servers are requested before that, because they are part of joined, and
// the call's kept messages follow joined immediately.
func (s *session) joinCall(r *wire.Request) error {
	g := s.currentGrant()
	listed := g.Limited && slices.Contains(g.Calls, r.Call)
	if g.Limited && !listed {
		return s.countRefusal(signal.ErrCallBarred)
	}
	pass := call.Pass{Listed: listed, Proof: r.Restore}
	if err := s.handler.calls.Check(party{s}, r.Call, pass); err != nil {
		return s.countRefusal(clientError(err))
	}
	ice := wire.Message{Call: r.Call}
	s.addICE(s.handler.hub.DoneContext(), &ice)
	err := s.handler.calls.Join(party{s}, r.Call, pass, func(i call.Info) {
		m := s.callMessage(wire.Joined, r, i)
		m.ICEServers, m.Expires, m.TTL, m.ICEError = ice.ICEServers, ice.Expires, ice.TTL, ice.ICEError
		for _, p := range i.Others {
			m.Parties = append(m.Parties, wire.Party{ID: p.Addr().String(), Name: p.Name()})
		}
		s.sendMessage(m)
	})
	if err != nil {
		s.stopCallRefresh(r.Call)
		return s.countRefusal(clientError(err))
	}
	s.dropIfClosed()
	return nil
}

// callMessage returns a created or joined message without ICE servers.
func (s *session) callMessage(kind string, r *wire.Request, i call.Info) *wire.Message {
	link := s.client.Visitor().Base + "/#call=" + i.ID
	return &wire.Message{Type: kind, Ref: r.Ref, Call: i.ID, Link: link, Max: i.Max, Restore: i.Proof}
}

func (s *session) sendInCall(r *wire.Request, to broker.Addr) error {
	if err := s.handler.calls.Send(party{s}, r.Call, to, r.Kind, r.Data); err != nil {
		return s.countRefusal(clientError(err))
	}
	return nil
}

// leaveCall takes the client out of a call, or ends the call if the request is a hangup.
func (s *session) leaveCall(r *wire.Request) error {
	do := s.handler.calls.Leave
	if r.Type == wire.Hangup {
		do = s.handler.calls.Hangup
	}
	if err := do(party{s}, r.Call); err != nil {
		return s.countRefusal(clientError(err))
	}
	s.stopCallRefresh(r.Call)
	return nil
}
