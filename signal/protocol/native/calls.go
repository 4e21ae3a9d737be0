package native

import (
	"net/netip"
	"slices"

	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/protocol/native/call"
	"icebox/signal/protocol/native/wire"
)

// party is a session in a call.
type party struct{ *session }

// Addr implements call.Party.
func (p party) Addr() broker.Addr { return p.client.Addr() }

// Name implements call.Party.
func (p party) Name() string { return p.client.Name() }

// AddrKey implements call.Party.
func (p party) AddrKey() netip.Addr { return signal.AddrKey(p.client.Visitor().Addr) }

// User implements call.Party: who has no name is a user of its own.
func (p party) User() string {
	if name := p.client.Name(); name != "" {
		return name
	}
	return "\x00" + p.client.Addr().String() // which no name begins with
}

// Notify implements call.Party.
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

func (s *session) currentGrant() signal.Grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grant
}

// createCall makes a call. ICE servers are minted after that, for it has no ID before; nobody can join in
// between who hasn't been told the ID.
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

// dropIfClosed takes a session that ended meanwhile out of the calls that it was not in then.
func (s *session) dropIfClosed() {
	s.mu.Lock()
	over := s.closed
	s.mu.Unlock()
	if over {
		s.handler.calls.Drop(party{s})
	}
}

// joinCall joins a call. ICE servers are minted before that, for what is kept follows the answer at once.
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

// leaveCall leaves a call or ends it.
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
