// Package budget counts bytes that are held in memory on behalf of others: in all, and for each address.
package budget

import (
	"net/netip"
	"sync"
)

// Limits bound a Budget, in bytes; 0 is no limit.
type Limits struct{ Total, PerAddr int }

// Budget is what has been spent. The zero Budget is ready. Any goroutine may call its methods.
type Budget struct {
	mu    sync.Mutex
	bytes int
	addrs map[netip.Addr]int
}

// Reserve counts bytes on an address, unless that would be too many. Fewer bytes, a negative number, are never too many.
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

// Release gives back bytes that were spent.
func (b *Budget) Release(a netip.Addr, bytes int) { b.Reserve(a, -bytes, Limits{}) }

// Total is how many bytes are spent.
func (b *Budget) Total() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

// AddrTotal is how many of them are spent on an address.
func (b *Budget) AddrTotal(a netip.Addr) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.addrs[a]
}
