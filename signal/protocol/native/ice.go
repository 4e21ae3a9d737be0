package native

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// retryICEAfter is how long after a failure the session requests ICE servers again.
const retryICEAfter = 30 * time.Second

// addICE adds ICE servers to a message, for its call if it has one, and reports whether it did. If the provider fails,
// addICE adds the reason. It also starts the timer that sends fresh ICE servers: before these expire, or after
// retryICEAfter.
func (s *session) addICE(ctx context.Context, m *wire.Message) (ok bool) {
	if s.handler.ice == nil {
		return false
	}
	servers, err := s.handler.ice(ctx, s.iceRequest(m.Call))
	if err != nil {
		refused := clientError(err)
		if refused == signal.ErrUnavailable {
			s.handler.log.Warn("could not provide ICE servers to a client",
				slog.String("client", s.client.ID().String()), slog.Any("error", err))
		}
		s.handler.hub.CountRefusal(refused)
		m.ICEError = &wire.Problem{Code: refused.Code, Message: refused.Message}
		s.refreshIn(m.Call, retryICEAfter)
		return false
	}
	m.ICEServers = servers.RTC()
	if !servers.Expires.IsZero() {
		m.Expires, m.TTL = servers.Expires.Unix(), int64(servers.TTL.Seconds())
		// The random part spreads the load: after a restart all clients get credentials at the same time.
		s.refreshIn(m.Call, time.Duration((0.7+0.1*rand.Float64())*float64(servers.TTL)))
	}
	return true
}

// iceRequest returns the request for ICE servers of the session, or of a call if that is not "". A credential is valid at
// most until the client's token expires.
func (s *session) iceRequest(call string) signal.ICERequest {
	v := s.client.Visitor()
	r := signal.ICERequest{User: s.client.Name(), Host: v.Host, Addr: v.Addr, Call: call}
	if r.User == "" {
		r.User = "@" + s.client.AddrKey().String()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if end := s.grant.Expires; !end.IsZero() {
		r.TTL = max(time.Until(end), time.Second)
	}
	return r
}

// refreshIn makes refreshICE run after d, in place of an earlier timer for the same call or for the session.
func (s *session) refreshIn(call string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if call == "" {
		if s.iceTimer != nil {
			s.iceTimer.Stop()
		}
		s.iceTimer = time.AfterFunc(d, func() { s.refreshICE("") })
		return
	}
	if t := s.callICETimers[call]; t != nil {
		t.Stop()
	}
	if s.callICETimers == nil {
		s.callICETimers = make(map[string]*time.Timer)
	}
	s.callICETimers[call] = time.AfterFunc(d, func() { s.refreshICE(call) })
}

// refreshICE sends the client fresh ICE servers for a call, or for the session if call is "".
func (s *session) refreshICE(call string) {
	done, err := s.handler.hub.Track()
	if err != nil {
		return
	}
	defer done()
	if call != "" && !s.handler.calls.Member(s.client.Addr(), call) {
		s.stopCallRefresh(call)
		return
	}
	m := &wire.Message{Type: wire.ICE, Call: call}
	if s.addICE(s.handler.hub.DoneContext(), m) {
		s.sendMessage(m)
	}
}

// stopCallRefresh stops sending ICE servers for a call, because the client is no longer in it.
func (s *session) stopCallRefresh(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.callICETimers[call]; t != nil {
		t.Stop()
		delete(s.callICETimers, call)
	}
}
