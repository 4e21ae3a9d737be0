package engine

import (
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	relayed = netip.MustParseAddrPort("192.0.2.1:50000")
	peerA   = netip.MustParseAddrPort("198.51.100.1:1000")
	peerB   = netip.MustParseAddrPort("[2001:db8::1]:2000")
)

func start(t testing.TB) *Engine {
	t.Helper()
	e, err := New(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// hooks count how often the allocation was opened and closed.
func hooks(opened, closed *atomic.Int32) Hooks {
	return Hooks{
		Open:   func() (netip.AddrPort, error) { opened.Add(1); return relayed, nil },
		Closed: func() { closed.Add(1) },
	}
}

func TestLifeOfAnAllocation(t *testing.T) {
	e := start(t)
	var opened, closed atomic.Int32
	a, err := e.Allocate(0, 1, 600*time.Second, hooks(&opened, &closed))
	if err != nil || opened.Load() != 1 || e.Count() != 1 {
		t.Fatalf("Allocate: %v, opened %d, count %d", err, opened.Load(), e.Count())
	}
	steps := map[string]error{
		"refresh":             a.Refresh(MaxLifetime),
		"permission":          a.CreatePermission([]netip.AddrPort{peerA, peerB}),
		"bind":                a.ChannelBind(0x4000, peerA),
		"bind again":          a.ChannelBind(0x4000, peerA),
		"bind IPv6":           a.ChannelBind(0x4001, peerB),
		"number of another":   wantRefused(a.ChannelBind(0x4000, peerB)),
		"peer of another":     wantRefused(a.ChannelBind(0x4002, peerA)),
		"no peer is an error": wantRefused(a.CreatePermission(nil)),
	}
	for name, err := range steps {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	a.Delete()
	if closed.Load() != 1 || e.Count() != 0 {
		t.Errorf("after Delete: closed %d, count %d", closed.Load(), e.Count())
	}
	a.Delete()
	if err := a.Refresh(600 * time.Second); !errors.Is(err, ErrGone) {
		t.Errorf("Refresh of a deleted allocation: %v", err)
	}
	if closed.Load() != 1 {
		t.Errorf("closed %d times", closed.Load())
	}
}

func wantRefused(err error) error {
	if errors.Is(err, ErrRefused) {
		return nil
	}
	return errors.Join(errors.New("not refused"), err)
}

// More peers than fit into what Pion reads of one message.
func TestPermissionsForMany(t *testing.T) {
	e := start(t)
	var opened, closed atomic.Int32
	a, err := e.Allocate(0, 1, 600*time.Second, hooks(&opened, &closed))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, peersPerRequest, peersPerRequest + 1, 1000} {
		peers := make([]netip.AddrPort, n)
		for i := range peers {
			peers[i] = peerB
		}
		if err := a.CreatePermission(peers); err != nil {
			t.Errorf("%d peers: %v", n, err)
		}
	}
}

func TestOpenFails(t *testing.T) {
	e := start(t)
	full := errors.New("no port left")
	_, err := e.Allocate(0, 1, 600*time.Second, Hooks{Open: func() (netip.AddrPort, error) { return netip.AddrPort{}, full }})
	if !errors.Is(err, full) || e.Count() != 0 {
		t.Errorf("Allocate: %v, count %d", err, e.Count())
	}
}

func TestCloseEndsAllocations(t *testing.T) {
	e, err := New(1)
	if err != nil {
		t.Fatal(err)
	}
	var opened atomic.Int32
	ended := make(chan struct{})
	a, err := e.Allocate(0, 1, 600*time.Second, Hooks{Open: hooks(&opened, nil).Open, Closed: func() { close(ended) }})
	if err != nil {
		t.Fatal(err)
	}
	e.Close()
	<-ended
	if err := a.Refresh(600 * time.Second); !errors.Is(err, ErrClosed) {
		t.Errorf("Refresh after Close: %v", err)
	}
}

// Pion's timers run the state: an allocation that nobody refreshes ends by itself,
// and its nonce, which lives for an hour, is replaced unseen.
func TestTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := New(1)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		var opened, closed atomic.Int32
		a, err := e.Allocate(0, 1, 600*time.Second, hooks(&opened, &closed))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.ChannelBind(0x4000, peerA); err != nil {
			t.Fatal(err)
		}
		for range 8 { // 8 x 500 s is more than an hour
			time.Sleep(500 * time.Second)
			if err := a.Refresh(600 * time.Second); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.ChannelBind(0x4000, peerB); err != nil {
			t.Errorf("a channel is still bound after its 600 s: %v", err)
		}
		time.Sleep(599 * time.Second)
		if closed.Load() != 0 {
			t.Error("ended before its lifetime")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if closed.Load() != 1 || e.Count() != 0 {
			t.Errorf("after its lifetime: closed %d, count %d", closed.Load(), e.Count())
		}
	})
}

// A client that refreshes its channel after 500 s and never asks for a permission: Pion's permission ends in
// between, which neither ends the channel nor keeps it from being refreshed.
func TestChannelOutlivesPionsPermission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := New(1)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		var opened, closed atomic.Int32
		a, err := e.Allocate(0, 1, MaxLifetime, hooks(&opened, &closed))
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			if err := a.ChannelBind(0x4000, peerA); err != nil {
				t.Fatal(err)
			}
			time.Sleep(500 * time.Second)
			if err := wantRefused(a.ChannelBind(0x4000, peerB)); err != nil {
				t.Errorf("the number is free while it is bound: %v", err)
			}
		}
		if err := a.CreatePermission([]netip.AddrPort{peerA}); err != nil {
			t.Errorf("CreatePermission for the channel's peer: %v", err)
		}
		if closed.Load() != 0 || e.Count() != 1 {
			t.Errorf("closed %d, count %d", closed.Load(), e.Count())
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	e := start(t)
	var opened, closed atomic.Int32
	var wg sync.WaitGroup
	for id := range uint64(64) {
		wg.Go(func() {
			a, err := e.Allocate(int(id), id, 600*time.Second, hooks(&opened, &closed))
			if err != nil {
				t.Error(err)
				return
			}
			if err := a.ChannelBind(0x4000, peerA); err != nil {
				t.Error(err)
			}
			if id%2 == 0 {
				a.Delete()
			}
		})
	}
	wg.Wait()
	if opened.Load() != 64 || closed.Load() != 32 || e.Count() != 32 {
		t.Errorf("opened %d, closed %d, count %d", opened.Load(), closed.Load(), e.Count())
	}
}

func BenchmarkRefresh(b *testing.B) {
	e := start(b)
	var opened, closed atomic.Int32
	a, err := e.Allocate(0, 1, 600*time.Second, hooks(&opened, &closed))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Refresh(600 * time.Second); err != nil {
			b.Fatal(err)
		}
	}
}

// What the state machine takes for one allocation from beginning to end.
func BenchmarkCycle(b *testing.B) {
	e := start(b)
	var opened, closed atomic.Int32
	b.ReportAllocs()
	id := uint64(0)
	for b.Loop() {
		id++
		a, err := e.Allocate(0, id, 600*time.Second, hooks(&opened, &closed))
		if err == nil {
			err = errors.Join(a.CreatePermission([]netip.AddrPort{peerA}), a.ChannelBind(0x4000, peerA), a.Refresh(600*time.Second))
		}
		if err != nil {
			b.Fatal(err)
		}
		a.Delete()
	}
}

// What an allocation with a channel costs. Pion's share is the map of permissions, made for 64 of them.
func BenchmarkMemory(b *testing.B) {
	const count = 2000
	for b.Loop() {
		e := start(b) // and closed at the end, so that no remains are counted
		var before, after runtime.MemStats
		goroutines := runtime.NumGoroutine()
		runtime.GC()
		runtime.ReadMemStats(&before)
		var opened, closed atomic.Int32
		for id := range uint64(count) {
			a, err := e.Allocate(int(id), id, 600*time.Second, hooks(&opened, &closed))
			if err == nil {
				err = a.ChannelBind(0x4000, peerA)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/count, "heap-B/allocation")
		b.ReportMetric(float64(after.StackInuse-before.StackInuse)/count, "stack-B/allocation")
		b.ReportMetric(float64(runtime.NumGoroutine()-goroutines)/count, "goroutines/allocation")
		if n := e.Count(); n != count {
			b.Fatalf("%d allocations", n)
		}
	}
}
