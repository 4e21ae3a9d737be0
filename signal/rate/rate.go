// Package rate implements rate limits by token buckets: a [Bucket] for one client, and a [Table] of buckets for any number of
// client addresses.
//
// The memory of a Table is limited in two ways. It drops buckets that have been unused for long enough to be full, because
// a full bucket is the same as none. It also holds a limited number of buckets: when it is full, all addresses without a
// bucket share one. So an attack from many addresses makes the Table refuse new addresses. It does not free them from the
// limit.
package rate

import (
	"net/netip"
	"sync"
	"time"
)

// Rate describes how fast a bucket refills and how many tokens it can hold. Both must be above 0.
type Rate struct {
	PerSecond float64 // tokens
	Burst     float64 // tokens in a full bucket
}

// PerMinute returns a rate of n tokens per minute with a burst of n.
func PerMinute(n int) Rate { return Rate{PerSecond: float64(n) / 60, Burst: float64(n)} }

// fill returns how long an empty bucket takes to refill.
func (r Rate) fill() time.Duration { return seconds(r.Burst / r.PerSecond) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Bucket is a token bucket. The zero Bucket is full. It is not safe for concurrent use.
type Bucket struct {
	tokens float64
	last   time.Time // when tokens was last updated; zero in a bucket that was never used
}

// Spend always takes the given number of tokens, even if fewer are left, so their number can become negative. It returns
// how long the caller must wait until the number is zero again, or 0 if it is not negative.
func (b *Bucket) Spend(r Rate, now time.Time, cost float64) time.Duration {
	b.refill(r, now)
	b.tokens -= cost
	if b.tokens >= 0 {
		return 0
	}
	return seconds(-b.tokens / r.PerSecond)
}

// Left returns how many tokens were left after the last Spend or TakeToken. It is negative after overspending.
func (b *Bucket) Left() float64 { return b.tokens }

// TakeToken takes one token and returns 0. If there is none, it takes nothing and returns how long it takes until there is.
func (b *Bucket) TakeToken(r Rate, now time.Time) time.Duration {
	b.refill(r, now)
	if b.tokens >= 1 {
		b.tokens--
		return 0
	}
	return seconds((1 - b.tokens) / r.PerSecond)
}

// Refund puts back one token.
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

// Table holds a bucket for each address. It is safe for concurrent use. The rate is passed to each call, because it may change
// at any time.
//
// Buckets are in two generations, so that rotate can drop the unused ones without iterating over them.
type Table struct {
	max int

	mu       sync.Mutex
	recent   map[netip.Addr]Bucket // used since rotated
	previous map[netip.Addr]Bucket // used only before rotated; full when the next rotation is due
	rotated  time.Time
	overflow Bucket // shared by the addresses for which there was no room
}

// NewTable returns a Table that holds at most limit buckets.
func NewTable(limit int) *Table { return &Table{max: limit, recent: make(map[netip.Addr]Bucket)} }

// TakeToken takes one token from the bucket of an address and returns 0. If there is none, it takes nothing and returns how
// long it takes until there is.
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

// Refund puts back one token into the bucket of an address.
func (t *Table) Refund(a netip.Addr, r Rate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, known := t.recent[a]
	if !known {
		if b, known = t.previous[a]; !known {
			// Either the token came from the overflow bucket, or the address's own bucket is full and was dropped.
			t.overflow.Refund(r)
			return
		}
		delete(t.previous, a)
	}
	b.Refund(r)
	t.recent[a] = b
}

// rotate drops the buckets that have been unused for long enough to be full.
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

// Len returns the number of buckets, without the shared one.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.recent) + len(t.previous)
}
