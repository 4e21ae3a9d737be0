package call

import (
	"net/netip"
	"sync"

	"icebox/signal"
)

// budget is what all calls keep together, in all and of each address that sent it.
type budget struct {
	mu    sync.Mutex
	bytes int
	addrs map[netip.Addr]int
}

// spend counts bytes of an address, which may be negative, unless that would be too many.
func (b *budget) spend(a netip.Addr, bytes int, l signal.CallLimits) (ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bytes > 0 && (l.KeptTotal > 0 && b.bytes+bytes > l.KeptTotal || l.KeptPerAddr > 0 && b.addrs[a]+bytes > l.KeptPerAddr) {
		return false
	}
	b.bytes += bytes
	if b.addrs[a] += bytes; b.addrs[a] == 0 {
		delete(b.addrs, a)
	}
	return true
}

// refund counts bytes that are no longer kept.
func (b *budget) refund(a netip.Addr, bytes int) { b.spend(a, -bytes, signal.CallLimits{}) }

// total is how many bytes there are.
func (b *budget) total() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}
