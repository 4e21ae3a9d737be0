// Package quantile keeps durations in a histogram of fixed size, from which
// quantiles can be read afterwards.
//
// Buckets are exact up to 255 ns and 1/128 of the value wide above it, so that a
// quantile is wrong by less than 0.8 %, whatever was recorded. Recording neither
// allocates nor locks: a histogram belongs to one goroutine, and those of several are
// merged when they are done.
package quantile

import (
	"math/bits"
	"time"
)

const (
	subBits = 7 // buckets of one power of two: 128
	// linear is how many values have a bucket of their own.
	linear = 1 << (subBits + 1)
	// maxBits bounds what is told apart: 2^36 ns are 68 s.
	maxBits = 36
	buckets = linear + (maxBits-subBits-1)<<subBits
)

// Histogram counts durations. The zero value is empty and ready for use.
type Histogram struct {
	counts [buckets]uint64
	count  uint64
	max    time.Duration
}

// Record counts d. Negative durations count as 0 and those above 68 s as 68 s,
// but for Max.
func (h *Histogram) Record(d time.Duration) {
	h.counts[bucket(d)]++
	h.count++
	h.max = max(h.max, d)
}

// bucket is the index of the bucket that d belongs to.
func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < linear {
		return int(v)
	}
	exp := bits.Len64(v) - subBits - 1
	return min(exp<<subBits+int(v>>exp), buckets-1)
}

// middle is the value that stands for a bucket.
func midpoint(i int) time.Duration {
	if i < linear {
		return time.Duration(i)
	}
	exp := i>>subBits - 1
	low := uint64(i-exp<<subBits) << exp
	return time.Duration(low + 1<<exp/2)
}

// Count is how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.count }

// Max is the greatest of them, as it was, and 0 if there are none.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is the duration that a share q of all, between 0 and 1, does not
// exceed. It is 0 if nothing was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	rank := min(uint64(q*float64(h.count)), h.count-1)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen > rank {
			return min(midpoint(i), h.max)
		}
	}
	return h.max
}

// Merge adds what other recorded.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.count += other.count
	h.max = max(h.max, other.max)
}

// Reset empties the histogram.
func (h *Histogram) Reset() { *h = Histogram{} }
