package native

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// retryICE is when ICE servers are asked for again that could not be had in time.
const retryICE = 30 * time.Second

// addICE puts ICE servers into a message, for its call if it has one, or why there are none. Fresh ones
// follow before they expire.
func (s *session) addICE(ctx context.Context, m *wire.Message) (ok bool) {
	if s.handler.ice == nil {
		return false
	}
	servers, err := s.handler.ice(ctx, s.iceRequest(m.Call))
	if err != nil {
		told := refusal(err)
		if told == signal.ErrUnavailable {
			s.handler.log.Warn("no ICE servers for a session",
				slog.String("client", s.client.ID().String()), slog.Any("error", err))
		}
		s.handler.hub.Refuse(told)
		m.ICEError = &wire.Problem{Code: told.Code, Message: told.Message}
		s.refreshIn(m.Call, retryICE)
		return false
	}
	m.ICEServers = servers.RTC()
	if !servers.Expires.IsZero() {
		m.Expires, m.TTL = servers.Expires.Unix(), int64(servers.TTL.Seconds())
		// Not all at once after a restart.
		s.refreshIn(m.Call, time.Duration((0.7+0.1*rand.Float64())*float64(servers.TTL)))
	}
	return true
}

func (s *session) iceRequest(call string) signal.ICERequest {
	v := s.client.Visitor()
	r := signal.ICERequest{User: s.client.Name(), Host: v.Host, Addr: v.Addr, Call: call}
	if r.User == "" {
		r.User = "@" + signal.Bucket(v.Addr).String()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if end := s.grant.Expires; !end.IsZero() {
		r.TTL = max(time.Until(end), time.Second)
	}
	return r
}

// refreshIn has fresh ICE servers sent later, for a call or for the session.
func (s *session) refreshIn(call string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if call == "" {
		if s.freshICE != nil {
			s.freshICE.Stop()
		}
		s.freshICE = time.AfterFunc(d, func() { s.refresh("") })
		return
	}
	if t := s.freshCalls[call]; t != nil {
		t.Stop()
	}
	if s.freshCalls == nil {
		s.freshCalls = make(map[string]*time.Timer)
	}
	s.freshCalls[call] = time.AfterFunc(d, func() { s.refresh(call) })
}

func (s *session) refresh(call string) {
	done, err := s.handler.hub.Attend()
	if err != nil {
		return
	}
	defer done()
	if call != "" && !s.handler.calls.Member(s.client.Addr(), call) {
		s.stale(call)
		return
	}
	m := &wire.Message{Type: wire.ICE, Call: call}
	if s.addICE(s.handler.hub.Context(), m) {
		s.tell(m)
	}
}

// stale stops the refreshing of a call that the client is no longer in.
func (s *session) stale(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.freshCalls[call]; t != nil {
		t.Stop()
		delete(s.freshCalls, call)
	}
}
