package native

import (
	"cmp"
	"context"
	"time"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// newcomer is a client that is signing in. Its session has no transport yet.
type newcomer struct {
	*session
	request *wire.Request // the hello
	name    string        // the name that it asks for; empty for none
	grant   signal.Grant
}

// connectClient connects a new session to the hub, if the hello's token is accepted. It blocks only to verify a token.
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

// claimNameInline claims the newcomer's name if that can be done without blocking. If it returns false, it has changed
// nothing, and signInSession has to claim the name.
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

// signInSession claims the newcomer's name, if that has not been done, and returns its welcome. The session then owns
// releaseConn and calls it when it ends. After an error the caller still has to call releaseConn.
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

// claimName claims a name for the session. If there is a session whose secret is replace, claimName ends it. If that
// session has the same name, the name passes to the new one without a moment in which others could claim it.
func (h *Handler) claimName(ctx context.Context, s *session, name, replace string) error {
	if old, ok := h.findSession(replace); ok {
		if name != "" && old.client.Name() == name {
			s.client.TakeOver(old.client)
		}
		old.client.End(signal.Replaced)
		select {
		case <-old.finished: // by now its peers have been told that it is gone, before the new session can send to them
		case <-ctx.Done():
		}
	}
	if name == "" || s.client.Name() == name {
		return nil
	}
	return s.client.SignIn(name)
}

// setGrant makes g the session's grant, and ends the session when g expires.
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

// renewToken verifies the token in r and replaces the session's grant by that token's. The name in the token has to be the
// client's name. The token may also have no name.
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
