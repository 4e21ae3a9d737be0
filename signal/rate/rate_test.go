package rate

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func addr(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

func TestBucketAllowsItsBurstAndThenItsRate(t *testing.T) {
	var (
		b   Bucket
		r   = Rate{PerSecond: 2, Burst: 3}
		now = start
	)
	for i := range 3 {
		if wait := b.TakeToken(r, now); wait != 0 {
			t.Fatalf("token %d of the burst: wait %v, want 0", i, wait)
		}
	}
	if wait := b.TakeToken(r, now); wait != 500*time.Millisecond {
		t.Fatalf("wait %v, want 500ms", wait)
	}
	now = now.Add(500 * time.Millisecond)
	if wait := b.TakeToken(r, now); wait != 0 {
		t.Fatalf("wait %v after the bucket has refilled one token", wait)
	}
	now = now.Add(time.Hour)
	for range 3 {
		b.TakeToken(r, now)
	}
	if b.TakeToken(r, now) == 0 {
		t.Fatal("after an hour there were more tokens than the burst")
	}
	if b.TakeToken(r, start) == 0 {
		t.Fatal("a clock that was set back added tokens")
	}
}

func TestSpendCanTakeMoreThanThereIs(t *testing.T) {
	var (
		b Bucket
		r = Rate{PerSecond: 10, Burst: 5}
	)
	if wait := b.Spend(r, start, 5); wait != 0 {
		t.Fatalf("wait %v within the burst, want 0", wait)
	}
	if wait := b.Spend(r, start, 20); wait != 2*time.Second {
		t.Fatalf("wait %v, want 2s", wait)
	}
	if wait := b.Spend(r, start.Add(2*time.Second), 0); wait != 0 {
		t.Fatalf("wait %v, want 0 after waiting", wait)
	}
}

func TestTableLimitsAddressesSeparately(t *testing.T) {
	table, r := NewTable(100), PerMinute(2)
	for range 2 {
		if table.TakeToken(addr(1), r, start) != 0 {
			t.Fatal("an address was refused within its limit")
		}
	}
	if wait := table.TakeToken(addr(1), r, start); wait != 30*time.Second {
		t.Fatalf("wait %v, want 30s", wait)
	}
	if table.TakeToken(addr(2), r, start) != 0 {
		t.Fatal("an address was refused because of another one")
	}
}

func TestTableDropsOnlyFullBuckets(t *testing.T) {
	table, r := NewTable(100), PerMinute(1)
	now := start
	for i := range 10 {
		now = now.Add(59 * time.Second)
		table.TakeToken(addr(uint32(1000+i)), r, now) // rotates the table
		if got := table.TakeToken(addr(1), r, now); i > 0 && got == 0 && i%2 == 1 {
			t.Fatalf("round %d: got a token after 59s, want at most one per minute", i)
		}
	}
	table.TakeToken(addr(9), r, now.Add(time.Hour))
	if n := table.Len(); n != 1 {
		t.Fatalf("%d buckets after an hour without use, want 1", n)
	}
}

func TestTableIsBounded(t *testing.T) {
	table, r := NewTable(50), PerMinute(3)
	refused := 0
	for i := range uint32(10_000) {
		if table.TakeToken(addr(i), r, start) != 0 {
			refused++
		}
		if n := table.Len(); n > 50 {
			t.Fatalf("%d buckets, want at most 50", n)
		}
	}
	if refused != 10_000-50-3 {
		t.Fatalf("%d refused, want all but the 50 addresses with a bucket and 3 that share one", refused)
	}
	if table.TakeToken(addr(7), r, start) != 0 {
		t.Fatal("an address with its own bucket was refused because of those without")
	}
}

func BenchmarkTableTakeToken(b *testing.B) {
	table, r := NewTable(1<<16), PerMinute(1_000_000)
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i++
		table.TakeToken(addr(i&0xfff), r, start)
	}
}

// A token that is put back can be taken again, but a bucket never holds more than its burst.
func TestRefund(t *testing.T) {
	now := time.Unix(1, 0)
	r := Rate{PerSecond: 1, Burst: 2}
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	table := NewTable(1)
	for _, addr := range []netip.Addr{a, b} { // a has its own bucket, b the shared one
		for range 10 {
			if wait := table.TakeToken(addr, r, now); wait != 0 {
				t.Fatalf("%v: wait %v for a refunded token", addr, wait)
			}
			table.Refund(addr, r)
		}
		table.Refund(addr, r)
		for i, want := range []bool{true, true, false} {
			if got := table.TakeToken(addr, r, now) == 0; got != want {
				t.Errorf("%v: token %d available: %v, want %v", addr, i+1, got, want)
			}
		}
	}
	// A refund moves a bucket from the previous generation to the recent one.
	now = now.Add(3 * time.Second)
	table.TakeToken(a, r, now)
	table.Refund(a, r)
}
