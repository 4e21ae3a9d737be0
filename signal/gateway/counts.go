package gateway

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"icebox/signal"
	"icebox/signal/rate"
)

// connections counts connections, per address and in total.
type connections struct {
	mu    sync.Mutex
	addrs map[netip.Addr]int
	total int
}

// addConn counts a connection, unless a limit is reached.
func (c *connections) addConn(a netip.Addr, l *signal.Limits) (refused reason, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case l.ConnsTotal > 0 && c.total >= l.ConnsTotal:
		return connsTotal, false
	case l.ConnsPerAddr > 0 && c.addrs[a] >= l.ConnsPerAddr:
		return connsPerAddr, false
	}
	c.addrs[a]++
	c.total++
	return 0, true
}

func (c *connections) removeConn(a netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total--
	if c.addrs[a]--; c.addrs[a] == 0 {
		delete(c.addrs, a)
	}
}

// maxMintBuckets limits the memory of the limit on minting to about 6 MB.
const maxMintBuckets = 1 << 16

// mints limits how many credentials are minted, per address and in total.
type mints struct {
	addrs *rate.Table

	mu    sync.Mutex
	total rate.Bucket
}

// mintLimit is the error of a mint above a limit. It wraps signal.ErrMintLimited.
type mintLimit struct {
	reason reason
	wait   time.Duration
}

func (e *mintLimit) Error() string { return fmt.Sprintf("too many credentials, wait %v", e.wait) }
func (e *mintLimit) Unwrap() error { return signal.ErrMintLimited }

// takeToken counts a credential, or returns a *mintLimit with the time to wait.
func (m *mints) takeToken(a netip.Addr, l *signal.Limits, now time.Time) error {
	if l.MintsPerAddr > 0 {
		if wait := m.addrs.TakeToken(a, rate.PerMinute(l.MintsPerAddr), now); wait > 0 {
			return &mintLimit{mintsPerAddr, wait}
		}
	}
	if l.MintsTotal > 0 {
		m.mu.Lock()
		defer m.mu.Unlock()
		if wait := m.total.TakeToken(rate.PerMinute(l.MintsTotal), now); wait > 0 {
			return &mintLimit{mintsTotal, wait}
		}
	}
	return nil
}
