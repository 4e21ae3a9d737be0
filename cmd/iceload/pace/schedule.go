// Package pace decides when the packets of a load are due, and sleeps until then.
//
// A [Schedule] divides time into equal slots without drift: slot k is due k/rate
// seconds after the start, in exact integer arithmetic. Who is late catches up, but
// only by what Patience allows; older slots are skipped and counted, so that a machine
// that stood still does not answer with a flood.
package pace

import (
	"math/bits"
	"time"
)

// Patience is how late a slot may be and still be used.
const MaxLateness = 10 * time.Millisecond

// Schedule hands out slots. It belongs to one goroutine.
type Schedule struct {
	start          time.Time
	packetsPerSlot uint64 // of one slot
	rate           uint64 // packets per second
	nextSlot       uint64 // the first slot that was not handed out
	skippedSlots   uint64
}

// New returns a schedule of slots with packets packets each, rate packets per second
// in all. Both are positive. Slot 0 is due at start, which has a monotonic clock reading.
func New(start time.Time, packets, rate int) *Schedule {
	return &Schedule{start: start, packetsPerSlot: uint64(packets), rate: uint64(rate)}
}

// at is when slot k is due, counted from the start; k*packets is below 2^32 seconds' worth.
func (s *Schedule) offset(k uint64) time.Duration {
	hi, lo := bits.Mul64(k*s.packetsPerSlot, uint64(time.Second))
	q, _ := bits.Div64(hi, lo, s.rate)
	return time.Duration(q)
}

// Next is when the next slot is due.
func (s *Schedule) NextDue() time.Time { return s.start.Add(s.offset(s.nextSlot)) }

// Due hands out the slots that are due at now, at most limit of them, and tells how
// late the first of them is.
func (s *Schedule) TakeDueSlots(now time.Time, limit int) (slots int, late time.Duration) {
	elapsed := now.Sub(s.start)
	if elapsed < s.offset(s.nextSlot) {
		return 0, 0
	}
	if elapsed-s.offset(s.nextSlot) > MaxLateness {
		first := s.slotsDueBy(elapsed - MaxLateness)
		s.skippedSlots += first - s.nextSlot
		s.nextSlot = first
	}
	late = elapsed - s.offset(s.nextSlot)
	due := s.slotsDueBy(elapsed) - s.nextSlot
	slots = int(min(due, uint64(limit)))
	s.nextSlot += uint64(slots)
	return slots, late
}

// before is how many slots are due up to d after the start: slot before(d) is the
// first that is not.
func (s *Schedule) slotsDueBy(d time.Duration) uint64 {
	hi, lo := bits.Mul64(uint64(d), s.rate)
	k, _ := bits.Div64(hi, lo, uint64(time.Second)*s.packetsPerSlot)
	for s.offset(k) <= d { // division rounds down twice: off by one at most
		k++
	}
	return k
}

// Skipped is how many packets were not due any more when their turn came.
func (s *Schedule) SkippedPackets() uint64 { return s.skippedSlots * s.packetsPerSlot }
