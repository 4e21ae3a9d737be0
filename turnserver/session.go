package turnserver

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"icebox/turnserver/credential"
	"icebox/turnserver/engine"
	"icebox/turnserver/flow"
	"icebox/turnserver/wire"
)

// EndReason is why a session ended. It is a label of icebox_turn_sessions_ended_total.
type EndReason string

// The reasons.
const (
	EndExpired  EndReason = "expired"  // the client did not refresh it in time
	EndReleased EndReason = "released" // the client's Refresh with lifetime 0
	EndClosed   EndReason = "closed"   // the client's stream closed
	EndTooOld   EndReason = "too_old"  // older than Options.MaxSessionAge
	EndKilled   EndReason = "killed"   // by the operator
	EndShutdown EndReason = "shutdown" // the server was closed
)

// EndReasons lists them all.
func EndReasons() []EndReason {
	return []EndReason{EndExpired, EndReleased, EndClosed, EndTooOld, EndKilled, EndShutdown}
}

// session is one 5-tuple with a live allocation.
type session struct {
	// Static once the session is visible to others.
	id         uint64
	identity   credential.Identity // its Key verifies and signs until the session ends
	path       path
	remote     netip.AddrPort
	started    time.Time
	allocation *engine.Allocation
	entry      *quotaEntry // of the quotas

	// Safe for concurrent use.
	relays    relays
	flows     flow.Table
	deadline  atomic.Int64 // of the allocation, on the server's clock
	ended     atomic.Bool
	toPeer    counters
	fromPeer  counters
	bandwidth bandwidth

	mu     sync.Mutex     // one control request at a time; guards the next two fields
	recent [4]cachedReply // ring of the last responses, for retransmissions
	next   int

	reason atomic.Value // EndReason; empty while the session is live
}

// counters count relayed packets and their payload bytes, without headers.
type counters struct {
	packets, bytes atomic.Uint64
}

func (c *counters) add(n int) {
	c.packets.Add(1)
	c.bytes.Add(uint64(n))
}

// cachedReply is the response to a request, which a retransmission of the request gets again (RFC 8489 section 6.3.1).
type cachedReply struct {
	id     [wire.TransactionIDSize]byte
	method wire.Method
	raw    []byte
}

// cached returns the response that the same request got before, or nil. The caller holds mu.
func (s *session) cached(m *wire.Message) []byte {
	for _, a := range s.recent {
		if a.raw != nil && a.id == m.TransactionID && a.method == m.Method {
			return a.raw
		}
	}
	return nil
}

// remember stores a response for retransmissions of its request. The caller holds mu.
func (s *session) remember(m *wire.Message, raw []byte) {
	s.recent[s.next] = cachedReply{id: m.TransactionID, method: m.Method, raw: raw}
	s.next = (s.next + 1) % len(s.recent)
}

// live reports whether packets may be relayed.
func (s *session) live(now int64) bool { return !s.ended.Load() && s.deadline.Load() > now }

// SessionInfo describes a live session.
type SessionInfo struct {
	ID           uint64
	User         string
	CredentialID string // of a credential that this daemon minted; otherwise empty
	Transport    Transport
	Client       netip.AddrPort
	Relayed      []netip.AddrPort // as advertised, IPv4 first
	Started      time.Time
	Expires      time.Duration // until the allocation ends unless it is refreshed
	// Relayed packets and payload bytes.
	ToPeerPackets, ToPeerBytes, FromPeerPackets, FromPeerBytes uint64
}

func (s *session) info(now int64) SessionInfo {
	var relayed []netip.AddrPort
	for _, r := range s.relays.all() {
		relayed = append(relayed, r.advertised)
	}
	return SessionInfo{
		ID:              s.id,
		User:            s.identity.User,
		CredentialID:    s.identity.ID,
		Transport:       s.path.transport(),
		Client:          s.remote,
		Relayed:         relayed,
		Started:         s.started,
		Expires:         time.Duration(s.deadline.Load() - now),
		ToPeerPackets:   s.toPeer.packets.Load(),
		ToPeerBytes:     s.toPeer.bytes.Load(),
		FromPeerPackets: s.fromPeer.packets.Load(),
		FromPeerBytes:   s.fromPeer.bytes.Load(),
	}
}

const (
	// endsPerSecond limits the log lines about ended sessions, because a client may create and release thousands a second.
	endsPerSecond = 20
	endsAtOnce    = 10 * int64(time.Second) // the burst of the bucket: 200 lines
)

// logEnd logs the end of a session. Above the limit it only counts the session; the next line contains the count.
func (s *Server) logEnd(i *SessionInfo, reason EndReason) {
	if !s.endLogBucket.Take(s.now(), int64(time.Second)/endsPerSecond, endsAtOnce) {
		s.unloggedEnds.Add(1)
		return
	}
	s.log.Info("session ended", "session", i.ID, "user", i.User, "credential", i.CredentialID, "transport", i.Transport.String(),
		"client", i.Client, "relayed", i.Relayed, "reason", string(reason), "seconds", int(s.clock().Sub(i.Started).Seconds()),
		"to_peer_packets", i.ToPeerPackets, "to_peer_bytes", i.ToPeerBytes,
		"from_peer_packets", i.FromPeerPackets, "from_peer_bytes", i.FromPeerBytes, "others_untold", s.unloggedEnds.Swap(0))
}
