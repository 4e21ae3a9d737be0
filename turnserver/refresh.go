package turnserver

import (
	"time"

	"icebox/turnserver/wire"
)

// refresh handles a Refresh (RFC 8656 section 8.2).
func (s *Server) refresh(r *request) *reply {
	lifetime, err := lifetimeOf(&r.msg)
	if err != nil {
		return errorReply(wire.BadRequest)
	}
	family := wire.Family(0)
	if value, ok := r.msg.Get(wire.AttrRequestedAddressFamily); ok {
		var code wire.Code
		if family, code = familyOf(value); code == 0 && r.session.relays.of(family) == nil {
			code = wire.PeerFamilyMismatch
		}
		if code != 0 {
			return errorReply(code)
		}
	}
	if code := s.prolong(r.session, family, lifetime); code != 0 {
		return errorReply(code)
	}
	return &reply{attributes: func(b *wire.Builder) { b.Lifetime(lifetime) }}
}

// prolong sets the remaining lifetime of a session. A lifetime of 0 ends the session. If it has two relayed addresses and
// family is not 0, a lifetime of 0 ends only the address of that family.
func (s *Server) prolong(sess *session, family wire.Family, lifetime time.Duration) wire.Code {
	switch {
	case lifetime == 0 && family != 0 && len(sess.relays.all()) > 1:
		sess.relays.pointer(family).Swap(nil).close()
		return 0
	case lifetime == 0:
		s.end(sess, EndReleased)
		return 0
	case s.clock().Sub(sess.started) > s.opts.MaxSessionAge:
		s.end(sess, EndTooOld)
		return wire.AllocationMismatch
	}
	if err := sess.allocation.Refresh(lifetime); err != nil {
		return wire.AllocationMismatch
	}
	sess.deadline.Store(s.now() + int64(lifetime))
	return 0
}
