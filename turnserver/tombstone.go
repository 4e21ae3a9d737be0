package turnserver

import (
	"net/netip"
	"sync"

	"icebox/turnserver/wire"
)

// tombstones keep the last answers of sessions that a Refresh ended, so that a
// retransmission of that Refresh gets its success once more instead of a 437. There
// is a fixed number of them; the oldest gives way.
type tombstones struct {
	mu     sync.Mutex
	graves [64]struct {
		local, remote netip.AddrPort
		answer
	}
	next int
}

func (t *tombstones) add(r *request, raw []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := &t.graves[t.next]
	g.local, g.remote = r.from.local(), r.remote
	g.answer = answer{id: r.msg.TransactionID, method: r.msg.Method, raw: raw}
	t.next = (t.next + 1) % len(t.graves)
}

// find returns the answer that the same request from the same client got before.
func (t *tombstones) find(r *request) []byte {
	if r.msg.Method != wire.Refresh {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.graves {
		g := &t.graves[i]
		if g.raw != nil && g.remote == r.remote && g.local == r.from.local() && g.id == r.msg.TransactionID && g.method == r.msg.Method {
			return g.raw
		}
	}
	return nil
}
