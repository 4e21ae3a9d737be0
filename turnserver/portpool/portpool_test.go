package portpool

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

func pcg() rand.Source { return rand.NewPCG(1, 2) }

// drain takes all ports that are free.
func drain(p *Pool) (ports []uint16) {
	for port, ok := p.Take(); ok; port, ok = p.Take() {
		ports = append(ports, port)
	}
	return ports
}

func TestEveryPortOnce(t *testing.T) {
	for name, c := range map[string]struct{ first, last, wantFirst, wantSize int }{
		"default":     {49152, 65535, 49152, 16384},
		"odd to even": {50001, 50010, 50001, 10},
		"one":         {65535, 65535, 65535, 1},
		"all":         {0, 65535, 1, 65535}, // never port 0
		"inverted":    {50010, 50001, 50010, 0},
		"port 0":      {0, 0, 1, 0},
	} {
		p := New(uint16(c.first), uint16(c.last), nil)
		if p.Free() != c.wantSize {
			t.Errorf("%s: %d ports free, want %d", name, p.Free(), c.wantSize)
		}
		ports := drain(p)
		slices.Sort(ports)
		for i, port := range ports {
			if int(port) != c.wantFirst+i {
				t.Fatalf("%s: port %d of the sorted ones is %d", name, i, port)
			}
		}
		if len(ports) != c.wantSize || p.Free() != 0 {
			t.Errorf("%s: took %d ports, %d left", name, len(ports), p.Free())
		}
		if _, ok := p.TakeEven(); ok {
			t.Errorf("%s: took an even port of an empty pool", name)
		}
		if _, ok := p.TakePair(); ok {
			t.Errorf("%s: took a pair of an empty pool", name)
		}
	}
}

func TestOrderIsRandom(t *testing.T) {
	a, b := drain(New(49152, 65535, nil)), drain(New(49152, 65535, nil))
	if same := matches(a, b); same > 20 {
		t.Errorf("two pools agree on %d of %d ports", same, len(a))
	}
	sorted := slices.Sorted(slices.Values(a))
	if same := matches(a, sorted); same > 20 {
		t.Errorf("%d of %d ports come in ascending order", same, len(a))
	}
	if !slices.Equal(drain(New(1, 1000, pcg())), drain(New(1, 1000, pcg()))) {
		t.Error("the order doesn't follow from the source")
	}
}

// A client that has seen the order of all ports once cannot predict the ports of the next clients.
func TestChurnDoesNotRevealPorts(t *testing.T) {
	p := New(50000, 50999, pcg())
	round := func() (seen []uint16) {
		for range 1000 {
			port, _ := p.Take()
			p.Put(port)
			seen = append(seen, port)
		}
		return seen
	}
	if same := matches(round(), round()); same > 20 {
		t.Errorf("%d of 1000 ports came where they came in the round before", same)
	}
}

func matches(a, b []uint16) (n int) {
	for i := range a {
		if a[i] == b[i] {
			n++
		}
	}
	return n
}

func TestFreedPortRests(t *testing.T) {
	p := New(50000, 50999, pcg())
	last := make(map[uint16]int)
	for i := range 20000 {
		port, ok := p.Take()
		if !ok || !p.Put(port) {
			t.Fatal("a free pool refused")
		}
		if before, ok := last[port]; ok && i-before < 750 {
			t.Fatalf("port %d came again after %d draws of 1000 free ports", port, i-before)
		}
		last[port] = i
	}
	if len(last) != 1000 {
		t.Errorf("only %d ports were ever drawn", len(last))
	}
}

func TestRecentPortIsNotRefused(t *testing.T) {
	p := New(50000, 50000, nil)
	for range 10 {
		if port, ok := p.Take(); !ok || port != 50000 {
			t.Fatal(port, ok)
		}
		if _, ok := p.Take(); ok {
			t.Fatal("took the only port twice")
		}
		p.Put(50000)
	}
}

func TestPut(t *testing.T) {
	p := New(50000, 50003, nil)
	for name, port := range map[string]uint16{"free": 50001, "below": 49999, "above": 50004, "zero": 0, "top": 65535} {
		if p.Put(port) || p.Free() != 4 {
			t.Errorf("%s: put port %d", name, port)
		}
	}
	port, _ := p.Take()
	if !p.Put(port) || p.Put(port) {
		t.Error("a port must be put back exactly once")
	}
	if got := drain(p); len(got) != 4 {
		t.Errorf("ports %v after a double put", got)
	}
}

func TestTakePort(t *testing.T) {
	p := New(50000, 50003, nil)
	if !p.TakePort(50002) || p.TakePort(50002) || p.TakePort(49999) || p.TakePort(50004) {
		t.Error("a port must be taken exactly once, and only if it is one of the pool's")
	}
	if got := drain(p); len(got) != 3 || slices.Contains(got, 50002) {
		t.Errorf("then took %v", got)
	}
}

// TakePair takes both ports of a pair together, and each can be put back separately.
func TestPairs(t *testing.T) {
	p := New(50001, 50008, nil) // 50001, three pairs, 50008 alone
	var evens []uint16
	for even, ok := p.TakePair(); ok; even, ok = p.TakePair() {
		if even%2 != 0 || even < 50002 || even > 50006 {
			t.Errorf("pair at %d", even)
		}
		evens = append(evens, even)
	}
	if len(evens) != 3 || p.Free() != 2 {
		t.Fatalf("pairs %v, %d ports left", evens, p.Free())
	}
	p.Put(evens[0])
	if _, ok := p.TakePair(); ok {
		t.Error("took half a pair")
	}
	p.Put(evens[0] + 1)
	if again, ok := p.TakePair(); !ok || again != evens[0] {
		t.Errorf("pair %d, %t; want %d", again, ok, evens[0])
	}
	if port, ok := p.TakeEven(); !ok || port != 50008 {
		t.Errorf("even port %d, %t; want 50008", port, ok)
	}
	if port, ok := p.TakeEven(); ok {
		t.Errorf("even port %d; only 50001 is free", port)
	}
	for _, even := range evens {
		p.Put(even)
		p.Put(even + 1)
	}
	p.Put(50008)
	if p.Free() != 8 {
		t.Errorf("%d ports free after all came back", p.Free())
	}
}

// TestNeedleInHaystack leaves one pair, far from the oldest ports.
func TestNeedleInHaystack(t *testing.T) {
	p := lonely(t, 49152, 65535, 60000)
	if even, ok := p.TakePair(); !ok || even != 60000 {
		t.Errorf("pair %d, %t; want 60000", even, ok)
	}
}

// lonely returns a pool whose free ports are all odd, except for one even port at the end of the queue.
func lonely(tb testing.TB, first, last, even uint16) *Pool {
	tb.Helper()
	p := New(first, last, pcg())
	for port := int(first); port <= int(last); port++ {
		if port%2 == 0 && !p.TakePort(uint16(port)) {
			tb.Fatalf("port %d isn't free", port)
		}
	}
	if !p.Put(even) {
		tb.Fatalf("port %d wasn't taken", even)
	}
	return p
}

func TestConcurrent(t *testing.T) {
	p := New(50000, 50063, nil)
	var mu sync.Mutex
	inUse := make(map[uint16]bool)
	claim := func(ports ...uint16) {
		mu.Lock()
		defer mu.Unlock()
		for _, port := range ports {
			if inUse[port] {
				t.Errorf("port %d is in use twice", port)
			}
			inUse[port] = true
		}
	}
	release := func(ports ...uint16) {
		for _, port := range ports {
			mu.Lock()
			delete(inUse, port)
			mu.Unlock()
			if !p.Put(port) {
				t.Errorf("port %d was free", port)
			}
		}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				if port, ok := p.Take(); ok {
					claim(port)
					release(port)
				}
				if even, ok := p.TakePair(); ok {
					claim(even, even+1)
					release(even, even+1)
				}
			}
		})
	}
	wg.Wait()
	if p.Free() != 64 {
		t.Errorf("%d ports free at the end", p.Free())
	}
}

func TestMemory(t *testing.T) {
	p := New(49152, 65535, nil)
	if n := 2 * (cap(p.queue) + cap(p.place)); n != 4*16384 {
		t.Errorf("%d bytes for 16384 ports", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		port, _ := p.Take()
		p.Put(port)
		even, _ := p.TakePair()
		p.Put(even)
		p.Put(even + 1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
