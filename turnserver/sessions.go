package turnserver

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Sessions returns the live sessions in no particular order.
func (s *Server) Sessions() []SessionInfo {
	now := s.now()
	var list []SessionInfo
	for _, sess := range s.snapshot() {
		list = append(list, sess.info(now))
	}
	return list
}

// Check reports whether UDP packets are relayed. It waits until each goroutine that relays them has polled its sockets
// once more. It returns an error that wraps [packetio.ErrStuck] if ctx ends first.
func (s *Server) Check(ctx context.Context) error {
	if err := s.io.Check(ctx); err != nil {
		return fmt.Errorf("check the relay: %w", err)
	}
	return nil
}

// End ends the live sessions for which match returns true, with the reason "killed", and returns their number.
func (s *Server) End(match func(*SessionInfo) bool) int {
	n := 0
	for _, sess := range s.snapshot() {
		if i := sess.info(s.now()); match(&i) {
			s.end(sess, EndKilled)
			n++
		}
	}
	return n
}

// Revoke ends the sessions of a credential that this daemon minted and refuses the credential from now on. until is the
// expiry of the credential, after which Revoke need not remember it. Revoke returns the number of sessions that it ended.
func (s *Server) Revoke(credentialID string, until time.Time) int {
	s.revoked.add(credentialID, until, s.clock())
	return s.End(func(i *SessionInfo) bool { return i.CredentialID == credentialID })
}

func (s *Server) snapshot() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*session, 0, len(s.sessions))
	for _, sess := range s.sessions {
		list = append(list, sess)
	}
	return list
}

// revocations holds the credentials that were revoked before they expired.
type revocations struct {
	mu    sync.RWMutex
	until map[string]time.Time // by credential id
}

func newRevocations() *revocations { return &revocations{until: make(map[string]time.Time)} }

func (r *revocations) add(id string, until, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, end := range r.until {
		if end.Before(now) {
			delete(r.until, id)
		}
	}
	r.until[id] = until
}

// has reports whether the credential is revoked. An empty id never is.
func (r *revocations) has(id string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.until[id]
	return ok && id != ""
}
