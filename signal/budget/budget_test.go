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

func TestSpend(t *testing.T) {
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
		{two, 51, l, false}, // in all
		{two, 50, l, true},
		{one, -40, l, true},
		{one, 40, l, true},
		{one, -1, Limits{Total: 1, PerAddr: 1}, true}, // limits that became lower
		{one, 1, Limits{}, true},
	} {
		if ok := b.Reserve(s.addr, s.bytes, s.l); ok != s.ok {
			t.Errorf("step %d: %v", i, ok)
		}
	}
	if b.Total() != 150 || b.AddrTotal(one) != 100 || b.AddrTotal(two) != 50 {
		t.Errorf("%d in all, %d and %d", b.Total(), b.AddrTotal(one), b.AddrTotal(two))
	}
	b.Release(one, 100)
	b.Release(two, 50)
	if b.Total() != 0 || len(b.addrs) != 0 {
		t.Errorf("%d bytes of %d addresses are left", b.Total(), len(b.addrs))
	}
}

func TestConcurrentSpendIsExact(t *testing.T) {
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
		t.Errorf("%d of 50 had 10 bytes, and %d are spent", n, b.AddrTotal(one))
	}
}
