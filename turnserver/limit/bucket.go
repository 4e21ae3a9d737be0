package limit

import (
	"sync/atomic"
	"time"
)

// Bucket is a token bucket of 8 bytes. It uses the generic cell rate algorithm and stores only the time at which the
// bucket will be full again. The zero value is a full bucket. It is safe for concurrent use.
type Bucket struct {
	fullAt atomic.Int64
}

// Take removes tokens worth cost nanoseconds from a bucket that holds at most burst nanoseconds' worth, and reports
// whether it did. If the bucket holds too few, Take removes nothing.
func (b *Bucket) Take(now, cost, burst int64) bool {
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

// Has reports whether Take would succeed. It removes nothing.
func (b *Bucket) Has(now, cost, burst int64) bool {
	return max(b.fullAt.Load(), now)+cost-now <= burst
}

// bandwidthBurst is the burst of a bandwidth limit: a quarter of the bytes of one second, in nanoseconds.
const bandwidthBurst = int64(time.Second) / 4

// TakeBytes removes tokens for size bytes at rate bytes per second, and reports whether it did. A rate of 0 means no
// limit. One packet of any size fits into a full bucket.
func (b *Bucket) TakeBytes(now int64, size, rate int) bool {
	if rate == 0 {
		return true
	}
	cost := int64(size) * int64(time.Second) / int64(rate)
	return b.Take(now, cost, max(bandwidthBurst, cost))
}
