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
	EndExpired  EndReason = "expired"  // not refreshed in time
	EndReleased EndReason = "released" // the client's Refresh with lifetime 0
	EndClosed   EndReason = "closed"   // the client's stream closed
	EndTooOld   EndReason = "too_old"  // older than Options.MaxSessionAge
	EndKilled   EndReason = "killed"   // by the operator
	EndShutdown EndReason = "shutdown" // with the server
)

// EndReasons lists them all.
func EndReasons() []EndReason {
	return []EndReason{EndExpired, EndReleased, EndClosed, EndTooOld, EndKilled, EndShutdown}
}

// session is one 5-tuple with a live allocation.
type session struct {
	// Static once the session is visible to others.
	id         uint64
	identity   credential.Identity // Key verifies and signs for the whole of the session's life
	path       path
	remote     netip.AddrPort
	started    time.Time
	allocation *engine.Allocation
	slot       *slot // of the quotas

	// For any goroutine.
	relays   relays
	flows    flow.Table
	deadline atomic.Int64 // of the allocation, on the server's clock
	over     atomic.Bool
	toPeer   counters
	fromPeer counters
	pipe     pipe

	mu     sync.Mutex // one control request at a time; guards what follows
	recent [4]answer  // ring of what was answered last, for retransmissions
	next   int

	reason atomic.Value // EndReason, once one is known
}

// counters count what was relayed, payload bytes without any header.
type counters struct {
	packets, bytes atomic.Uint64
}

func (c *counters) add(n int) {
	c.packets.Add(1)
	c.bytes.Add(uint64(n))
}

// answer is a response that a retransmitted request gets again (RFC 8489 section 6.3.1).
type answer struct {
	id     [wire.TransactionIDSize]byte
	method wire.Method
	raw    []byte
}

// cached returns the response that the same request got before. mu is held.
func (s *session) cached(m *wire.Message) []byte {
	for _, a := range s.recent {
		if a.raw != nil && a.id == m.TransactionID && a.method == m.Method {
			return a.raw
		}
	}
	return nil
}

// remember keeps a response for retransmissions of its request. mu is held.
func (s *session) remember(m *wire.Message, raw []byte) {
	s.recent[s.next] = answer{id: m.TransactionID, method: m.Method, raw: raw}
	s.next = (s.next + 1) % len(s.recent)
}

// live tells whether packets may still pass.
func (s *session) live(now int64) bool { return !s.over.Load() && s.deadline.Load() > now }

// SessionInfo describes a live session.
type SessionInfo struct {
	ID           uint64
	User         string
	CredentialID string // of a credential minted here, else empty
	Transport    Transport
	Client       netip.AddrPort
	Relayed      []netip.AddrPort // as advertised, IPv4 first
	Started      time.Time
	Expires      time.Duration // until the allocation ends unless it is refreshed
	// Packets and bytes relayed, payload only.
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
	// endsPerSecond bounds the lines about sessions that have ended, for a client may make
	// and release thousands a second.
	endsPerSecond = 20
	endsAtOnce    = 10 * int64(time.Second) // in tokens of a bucket: 200 lines
)

// logEnd logs what became of a session, or counts it for the next line that is logged.
func (s *Server) logEnd(i *SessionInfo, reason EndReason) {
	if !s.endLines.Take(s.now(), int64(time.Second)/endsPerSecond, endsAtOnce) {
		s.endsUntold.Add(1)
		return
	}
	s.log.Info("session ended", "session", i.ID, "user", i.User, "credential", i.CredentialID, "transport", i.Transport.String(),
		"client", i.Client, "relayed", i.Relayed, "reason", string(reason), "seconds", int(s.clock().Sub(i.Started).Seconds()),
		"to_peer_packets", i.ToPeerPackets, "to_peer_bytes", i.ToPeerBytes,
		"from_peer_packets", i.FromPeerPackets, "from_peer_bytes", i.FromPeerBytes, "others_untold", s.endsUntold.Swap(0))
}
