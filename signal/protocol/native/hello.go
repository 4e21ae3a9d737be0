package native

import (
	"cmp"
	"context"
	"time"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// newcomer is a client that is about to sign in. Its session has no transport yet.
type newcomer struct {
	*session
	request *wire.Request
	name    string
	grant   signal.Grant
}

// connectClient makes a client of who may be one. Unless its token has to be verified nothing is waited for.
func (h *Handler) connectClient(ctx context.Context, v signal.Visitor, r *wire.Request) (newcomer, *signal.Error) {
	v, err := h.authorize(ctx, v, r.Token)
	if err != nil {
		return newcomer{}, clientError(err)
	}
	s := newSession(h, func() {})
	if _, err := h.hub.Connect(s, h.profile, v); err != nil {
		h.metrics.detached.Dec()
		return newcomer{}, clientError(err)
	}
	return newcomer{session: s, request: r, name: cmp.Or(r.Name, v.Grant.Name), grant: v.Grant}, nil
}

// claimNameInline signs the client in, unless that has to wait for somebody: then it reports false.
func (n newcomer) claimNameInline() (named bool, refused *signal.Error) {
	if n.name == "" {
		return true, nil
	}
	named, err := n.client.TrySignIn(n.name)
	if err != nil {
		n.client.End(signal.Gone)
		return true, clientError(err)
	}
	return named, nil
}

// signInSession signs a newcomer in, where that hasn't been done, and returns its welcome. The slot is the session's then.
func (h *Handler) signInSession(ctx context.Context, n newcomer, releaseConn func()) (*wire.Message, *signal.Error) {
	s := n.session
	if err := h.claimName(ctx, s, n.name, n.request.Replace); err != nil {
		s.client.End(signal.Gone)
		return nil, clientError(err)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, signal.ErrRestarting
	}
	s.releaseConn = releaseConn
	s.mu.Unlock()
	s.setGrant(n.grant)
	return s.welcome(ctx), nil
}

// claimName signs the client in, and ends the session that it replaces.
func (h *Handler) claimName(ctx context.Context, s *session, name, replace string) error {
	if old, ok := h.findSession(replace); ok {
		if name != "" && old.client.Name() == name {
			s.client.TakeOver(old.client)
		}
		old.client.End(signal.Replaced)
		select {
		case <-old.finished: // so that its peers have been told before they hear from the new one
		case <-ctx.Done():
		}
	}
	if name == "" || s.client.Name() == name {
		return nil
	}
	return s.client.SignIn(name)
}

// setGrant puts a token's word into force.
func (s *session) setGrant(g signal.Grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grant = g
	if s.tokenTimer != nil {
		s.tokenTimer.Stop()
		s.tokenTimer = nil
	}
	if !g.Expires.IsZero() && !s.closed {
		s.tokenTimer = time.AfterFunc(time.Until(g.Expires), func() { s.client.End(signal.Expired) })
	}
}

// renewToken takes a token in place of an older one.
func (s *session) renewToken(r *wire.Request) error {
	ctx, cancel := context.WithTimeout(s.handler.hub.DoneContext(), helloWait)
	defer cancel()
	v := s.client.Visitor()
	v.Grant = signal.Grant{}
	v, err := s.handler.authorize(ctx, v, r.Token)
	switch {
	case err != nil:
		return s.countRefusal(clientError(err))
	case v.Grant.Name != "" && v.Grant.Name != s.client.Name():
		return s.countRefusal(signal.ErrNameNotAllowed)
	}
	s.setGrant(v.Grant)
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
