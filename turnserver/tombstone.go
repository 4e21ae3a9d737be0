package turnserver

import (
	"hash/maphash"
	"net/netip"
	"sync"

	"icebox/turnserver/wire"
)

// tombstones keep answers that no session keeps, so that a retransmission gets the same
// once more (RFC 8489 section 6.3.1): of the Refresh that ended a session, which would get a 437,
// and of an Allocate that found no room, which might find some now, for a client that
// has gone away with its 486. There is a fixed number of them; a newer one takes an older one's place.
type tombstones struct {
	seed maphash.Seed

	mu     sync.Mutex
	graves [1024]grave // by transaction id
}

type grave struct {
	local, remote netip.AddrPort
	answer
}

func newTombstones() *tombstones { return &tombstones{seed: maphash.MakeSeed()} }

func (t *tombstones) grave(r *request) *grave {
	return &t.graves[maphash.Bytes(t.seed, r.msg.TransactionID[:])%uint64(len(t.graves))]
}

func (t *tombstones) add(r *request, raw []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*t.grave(r) = grave{r.from.local(), r.remote, answer{id: r.msg.TransactionID, method: r.msg.Method, raw: raw}}
}

// find returns the answer that the same request from the same client got before.
func (t *tombstones) find(r *request) []byte {
	if r.msg.Method != wire.Refresh && r.msg.Method != wire.Allocate {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.grave(r)
	if g.raw == nil || g.remote != r.remote || g.local != r.from.local() || g.id != r.msg.TransactionID || g.method != r.msg.Method {
		return nil
	}
	return g.raw
}
