package native

import (
	"context"
	"time"

	"icebox/signal"
	"icebox/signal/native/wire"
)

// signIn makes a session, which has no transport yet, and its welcome. The slot is the session's then.
func (h *Handler) signIn(ctx context.Context, v signal.Visitor, r *wire.Request, slot func()) (*session, *wire.Message, *signal.Error) {
	v, err := h.admit(ctx, v, r.Token)
	if err != nil {
		return nil, nil, refusal(err)
	}
	name := r.Name
	if name == "" {
		name = v.Grant.Name
	}
	s := newSession(h, func() {})
	client, err := h.hub.Connect(s, h.profile, v)
	if err != nil {
		h.metrics.detached.Dec()
		return nil, nil, refusal(err)
	}
	if err := h.name(ctx, s, name, r.Replace); err != nil {
		client.End(signal.Gone)
		return nil, nil, refusal(err)
	}
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return nil, nil, signal.ErrRestarting
	}
	s.slot = slot
	s.mu.Unlock()
	s.allow(v.Grant)
	return s, s.welcome(ctx), nil
}

// name signs the client in, and ends the session that it replaces.
func (h *Handler) name(ctx context.Context, s *session, name, replace string) error {
	if old, ok := h.find(replace); ok {
		if name != "" && old.client.Name() == name {
			s.client.TakeOver(old.client)
		}
		old.client.End(signal.Replaced)
		select {
		case <-old.ended: // so that its peers have been told before they hear from the new one
		case <-ctx.Done():
		}
	}
	if name == "" || s.client.Name() == name {
		return nil
	}
	return s.client.SignIn(name)
}

// allow puts a token's word into force.
func (s *session) allow(g signal.Grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grant = g
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	if !g.Expires.IsZero() && !s.over {
		s.expiry = time.AfterFunc(time.Until(g.Expires), func() { s.client.End(signal.Expired) })
	}
}

// renew takes a token in place of an older one.
func (s *session) renew(r *wire.Request) error {
	ctx, cancel := context.WithTimeout(s.handler.hub.Context(), helloWait)
	defer cancel()
	v := s.client.Visitor()
	v.Grant = signal.Grant{}
	v, err := s.handler.admit(ctx, v, r.Token)
	switch {
	case err != nil:
		return s.refused(refusal(err))
	case v.Grant.Name != "" && v.Grant.Name != s.client.Name():
		return s.refused(signal.ErrNameNotAllowed)
	}
	s.allow(v.Grant)
	return nil
}

func (s *session) welcome(ctx context.Context) *wire.Message {
	l := s.handler.hub.Limits()
	m := &wire.Message{
		Type: wire.Welcome, V: wire.Version,
		ID: s.client.Addr().String(), Name: s.client.Name(), Resume: s.client.Token(),
		Limits: &wire.Limits{
			Message: l.MaxMessage, MessagesPerSecond: l.MessagesPerSecond, Burst: l.MessageBurst,
			Names: l.WatchedNames, Parties: l.Calls.Parties, Calls: l.Calls.PerClient,
			Resume: int64(l.ResumeWithin.Seconds()), ResumeMessages: l.ResumeMessages, ResumeBytes: l.ResumeBytes,
		},
	}
	s.addICE(ctx, m)
	return m
}
