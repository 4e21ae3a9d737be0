// Package budget limits the memory that the server uses on behalf of clients: in total, and for each client address.
package budget

import (
	"net/netip"
	"sync"
)

// Limits are the limits of a Budget in bytes; 0 means unlimited.
type Limits struct{ Total, PerAddr int }

// Budget counts the reserved bytes. The zero Budget is ready to use. It is safe for concurrent use.
type Budget struct {
	mu    sync.Mutex
	bytes int
	addrs map[netip.Addr]int
}

// Reserve reserves bytes for an address and returns true, unless that would exceed a limit. A negative number releases bytes,
// which always succeeds.
func (b *Budget) Reserve(a netip.Addr, bytes int, l Limits) (ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bytes > 0 && (l.Total > 0 && b.bytes+bytes > l.Total || l.PerAddr > 0 && b.addrs[a]+bytes > l.PerAddr) {
		return false
	}
	if b.addrs == nil {
		b.addrs = make(map[netip.Addr]int)
	}
	b.bytes += bytes
	if b.addrs[a] += bytes; b.addrs[a] == 0 {
		delete(b.addrs, a)
	}
	return true
}

// Release releases bytes that were reserved for an address.
func (b *Budget) Release(a netip.Addr, bytes int) { b.Reserve(a, -bytes, Limits{}) }

// Total returns how many bytes are reserved for all addresses.
func (b *Budget) Total() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

// AddrTotal returns how many bytes are reserved for an address.
func (b *Budget) AddrTotal(a netip.Addr) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.addrs[a]
}
