package turnserver

import (
	"sync/atomic"
	"time"
)

// bucket is a token bucket in one word, after the generic cell rate algorithm: it
// holds the time at which the bucket will be full again. The zero bucket is full.
type bucket struct {
	fullAt atomic.Int64
}

// take moves cost nanoseconds' worth of tokens out of a bucket that holds burst
// nanoseconds' worth, and tells whether they were there. now is the server's clock.
func (b *bucket) take(now, cost, burst int64) bool {
	for {
		old := b.fullAt.Load()
		next := max(old, now) + cost
		if next-now > burst {
			return false
		}
		if b.fullAt.CompareAndSwap(old, next) {
			return true
		}
	}
}

// has tells whether take would succeed, and takes nothing.
func (b *bucket) has(now, cost, burst int64) bool {
	return max(b.fullAt.Load(), now)+cost-now <= burst
}

// bandwidthBurst is how much of a second's bandwidth may pass at once.
const bandwidthBurst = int64(time.Second) / 4

// pipe limits the bandwidth of something in each direction.
type pipe struct {
	toPeer, fromPeer bucket
}

// bytes takes size bytes out of b at rate bytes a second; rate 0 is no limit. One
// packet always fits into a full bucket.
func (b *bucket) bytes(now int64, size, rate int) bool {
	if rate == 0 {
		return true
	}
	cost := int64(size) * int64(time.Second) / int64(rate)
	return b.take(now, cost, max(bandwidthBurst, cost))
}
