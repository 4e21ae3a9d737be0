// Package rate limits by token buckets: one [Bucket] for one client, a [Table] of them for addresses that
// nobody has counted beforehand.
//
// A Table's memory is bounded twice. A bucket left alone for as long as it takes to fill up says nothing any
// more, so those are dropped, and there is a ceiling on the number kept: past it, addresses without a
// bucket share one, which errs towards refusing the crowd rather than towards forgetting it.
package rate

import (
	"net/netip"
	"sync"
	"time"
)

// Rate is how fast tokens come back and how many can be saved up.
type Rate struct {
	PerSecond float64 // > 0
	Burst     float64 // > 0
}

// PerMinute returns the rate of n a minute, of which all n may come at once.
func PerMinute(n int) Rate { return Rate{PerSecond: float64(n) / 60, Burst: float64(n)} }

// fill is how long an empty bucket takes to be full.
func (r Rate) fill() time.Duration { return seconds(r.Burst / r.PerSecond) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Bucket counts tokens. The zero Bucket is full. It has no lock.
type Bucket struct {
	tokens float64
	last   time.Time // when tokens was right; zero in a full bucket
}

// Spend takes cost tokens, into debt if need be, and returns how long the spender must wait for the debt to
// be paid off: zero if there is none.
func (b *Bucket) Spend(r Rate, now time.Time, cost float64) time.Duration {
	b.refill(r, now)
	b.tokens -= cost
	if b.tokens >= 0 {
		return 0
	}
	return seconds(-b.tokens / r.PerSecond)
}

// Left returns how many tokens were left after the last Spend or Take.
func (b *Bucket) Left() float64 { return b.tokens }

// TakeToken takes one token if there is one, and else returns how long it takes until there will be.
func (b *Bucket) TakeToken(r Rate, now time.Time) time.Duration {
	b.refill(r, now)
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	return seconds((1 - b.tokens) / r.PerSecond)
}

// Refund gives back a token that was taken for nothing.
func (b *Bucket) Refund(r Rate) { b.tokens = min(b.tokens+1, r.Burst) }

func (b *Bucket) refill(r Rate, now time.Time) {
	if b.last.IsZero() {
		b.tokens, b.last = r.Burst, now
		return
	}
	if d := now.Sub(b.last); d > 0 {
		b.tokens += d.Seconds() * r.PerSecond
		b.last = now
	}
	b.tokens = min(b.tokens, r.Burst)
}

// Table keeps a bucket for each address, safe for concurrent use.
type Table struct {
	max int

	mu       sync.Mutex
	recent   map[netip.Addr]Bucket // touched since turned
	previous map[netip.Addr]Bucket // touched in the period before; full again when the next one ends
	rotated  time.Time
	overflow Bucket // shared by the addresses that found no room
}

// NewTable returns a Table that keeps at most limit buckets.
func NewTable(limit int) *Table { return &Table{max: limit, recent: make(map[netip.Addr]Bucket)} }

// TakeToken takes a token from the bucket of an address. Zero means that it was there, anything else how long to
// wait for one.
func (t *Table) TakeToken(a netip.Addr, r Rate, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rotate(r, now)
	b, known := t.recent[a]
	if !known {
		b, known = t.previous[a]
		delete(t.previous, a)
	}
	if !known && len(t.recent)+len(t.previous) >= t.max {
		return t.overflow.TakeToken(r, now)
	}
	wait := b.TakeToken(r, now)
	t.recent[a] = b
	return wait
}

// Refund gives an address back a token that was taken for nothing.
func (t *Table) Refund(a netip.Addr, r Rate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, known := t.recent[a]
	if !known {
		if b, known = t.previous[a]; !known {
			t.overflow.Refund(r) // there is a bucket unless it was the crowd's, or is full by now
			return
		}
		delete(t.previous, a)
	}
	b.Refund(r)
	t.recent[a] = b
}

// rotate drops the buckets that nobody has touched for long enough to be full.
func (t *Table) rotate(r Rate, now time.Time) {
	age := now.Sub(t.rotated)
	if age < r.fill() {
		return
	}
	t.previous = t.recent
	if age >= 2*r.fill() {
		t.previous = nil
	}
	t.recent, t.rotated = make(map[netip.Addr]Bucket), now
}

// Len returns how many buckets are kept.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.recent) + len(t.previous)
}
