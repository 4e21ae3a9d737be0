// Package quantile provides a histogram of durations that has a fixed size and from which quantiles
// can be read.
//
// Values up to 255 ns have a bucket each. Above that, a bucket is at most 1/128 of its values wide,
// so a quantile is off by less than 0.8 %. Recording neither allocates nor locks. A histogram is
// not safe for concurrent use: each goroutine fills its own, and they are merged at the end.
package quantile

import (
	"math/bits"
	"time"
)

const (
	subBits = 7 // 128 buckets for each power of two
	// linear is how many values, from 0 up, have a bucket of their own.
	linear = 1 << (subBits + 1)
	// maxBits limits the range: values of 2^36 ns (68 s) and more share the last bucket.
	maxBits = 36
	buckets = linear + (maxBits-subBits-1)<<subBits
)

// Histogram counts durations. The zero value is empty and ready to use.
type Histogram struct {
	counts [buckets]uint64
	count  uint64
	max    time.Duration
}

// Record adds d. A negative duration counts as 0 and one above 68 s as 68 s, except that Max
// returns it unchanged.
func (h *Histogram) Record(d time.Duration) {
	h.counts[bucket(d)]++
	h.count++
	h.max = max(h.max, d)
}

// bucket returns the index of d's bucket.
func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < linear {
		return int(v)
	}
	exp := bits.Len64(v) - subBits - 1
	return min(exp<<subBits+int(v>>exp), buckets-1)
}

// midpoint returns the value that represents bucket i.
func midpoint(i int) time.Duration {
	if i < linear {
		return time.Duration(i)
	}
	exp := i>>subBits - 1
	low := uint64(i-exp<<subBits) << exp
	return time.Duration(low + 1<<exp/2)
}

// Count returns how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.count }

// Max returns the longest recorded duration, exactly, or 0 if there is none.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile returns the duration below or at which a share q of the recorded durations lies; q is
// between 0 and 1. It returns 0 if nothing was recorded.
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

// Merge adds everything that other recorded.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.count += other.count
	h.max = max(h.max, other.max)
}

// Reset empties the histogram.
func (h *Histogram) Reset() { *h = Histogram{} }
