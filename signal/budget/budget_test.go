package budget

import (
	"net/netip"
	"sync"
	"testing"
)

var (
	one = netip.MustParseAddr("192.0.2.1")
	two = netip.MustParseAddr("192.0.2.2")
)

func TestReserveAndRelease(t *testing.T) {
	var b Budget
	l := Limits{Total: 150, PerAddr: 100}
	for i, s := range []struct {
		addr  netip.Addr
		bytes int
		l     Limits
		ok    bool
	}{
		{one, 100, l, true},
		{one, 1, l, false},
		{two, 51, l, false}, // exceeds Total
		{two, 50, l, true},
		{one, -40, l, true},
		{one, 40, l, true},
		{one, -1, Limits{Total: 1, PerAddr: 1}, true}, // though the limits are lower by now
		{one, 1, Limits{}, true},
	} {
		if ok := b.Reserve(s.addr, s.bytes, s.l); ok != s.ok {
			t.Errorf("step %d: Reserve returned %v", i, ok)
		}
	}
	if b.Total() != 150 || b.AddrTotal(one) != 100 || b.AddrTotal(two) != 50 {
		t.Errorf("%d bytes in total, %d and %d for the addresses, want 150, 100 and 50",
			b.Total(), b.AddrTotal(one), b.AddrTotal(two))
	}
	b.Release(one, 100)
	b.Release(two, 50)
	if b.Total() != 0 || len(b.addrs) != 0 {
		t.Errorf("%d bytes for %d addresses are reserved after all were released", b.Total(), len(b.addrs))
	}
}

func TestConcurrentReserveKeepsToTheLimit(t *testing.T) {
	var (
		b  Budget
		wg sync.WaitGroup
		mu sync.Mutex
		n  int
	)
	for range 50 {
		wg.Go(func() {
			if b.Reserve(one, 10, Limits{PerAddr: 205}) {
				mu.Lock()
				n++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if n != 20 || b.AddrTotal(one) != 200 {
		t.Errorf("%d of 50 calls reserved 10 bytes, and %d bytes are reserved, want 20 calls and 200 bytes", n, b.AddrTotal(one))
	}
}
