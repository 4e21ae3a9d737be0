package turnserver

import (
	"hash/maphash"
	"net/netip"
	"sync"

	"icebox/turnserver/wire"
)

// recentReplies stores replies to requests that leave no session behind, so that a retransmission gets the same reply again
// (RFC 8489 section 6.3.1). There are two kinds:
//
//   - the reply to the Refresh that ended a session; without it a retransmission would get 437;
//   - the reply to an Allocate for which there was no room; without it a retransmission might create an allocation for a
//     client that has already left because of the 486 or 508.
//
// It has 1,024 places. The transaction ID of a request selects its place. A new reply overwrites the older one in the
// same place.
type recentReplies struct {
	seed maphash.Seed

	mu     sync.Mutex
	places [1024]recentReply
}

type recentReply struct {
	local, remote netip.AddrPort
	cachedReply
}

func newRecentReplies() *recentReplies { return &recentReplies{seed: maphash.MakeSeed()} }

func (t *recentReplies) placeOf(r *request) *recentReply {
	return &t.places[maphash.Bytes(t.seed, r.msg.TransactionID[:])%uint64(len(t.places))]
}

func (t *recentReplies) add(r *request, raw []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*t.placeOf(r) = recentReply{r.from.local(), r.remote, cachedReply{id: r.msg.TransactionID, method: r.msg.Method, raw: raw}}
}

// find returns the reply that the same request from the same client got before, or nil.
func (t *recentReplies) find(r *request) []byte {
	if r.msg.Method != wire.Refresh && r.msg.Method != wire.Allocate {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.placeOf(r)
	if p.raw == nil || p.remote != r.remote || p.local != r.from.local() || p.id != r.msg.TransactionID || p.method != r.msg.Method {
		return nil
	}
	return p.raw
}
