// Package pace decides when the packets of a load are due, and sleeps until then.
//
// A [Schedule] divides time into equal slots without drift: slot k is due k*packetsPerSlot/rate
// seconds after the start, computed in exact integer arithmetic. A caller that falls behind catches
// up on slots that are at most MaxLateness old. Older slots are skipped and counted, so that a
// machine that was suspended does not resume with a flood of packets.
package pace

import (
	"math/bits"
	"time"
)

// MaxLateness is how late a slot may be and still be sent.
const MaxLateness = 10 * time.Millisecond

// Schedule hands out slots in order. It is not safe for concurrent use.
type Schedule struct {
	start          time.Time
	packetsPerSlot uint64
	rate           uint64 // packets per second
	nextSlot       uint64 // the first slot that has not been handed out
	skippedSlots   uint64
}

// New returns a schedule of slots of the given number of packets each. rate is in packets per
// second, over all slots; both must be positive. Slot 0 is due at start, which must have a
// monotonic clock reading.
func New(start time.Time, packets, rate int) *Schedule {
	return &Schedule{start: start, packetsPerSlot: uint64(packets), rate: uint64(rate)}
}

// offset returns when slot k is due, relative to the start. The product k*packets may be at most
// 2^32 seconds' worth of packets; then the division cannot overflow.
func (s *Schedule) offset(k uint64) time.Duration {
	hi, lo := bits.Mul64(k*s.packetsPerSlot, uint64(time.Second))
	q, _ := bits.Div64(hi, lo, s.rate)
	return time.Duration(q)
}

// NextDue returns when the next slot is due.
func (s *Schedule) NextDue() time.Time { return s.start.Add(s.offset(s.nextSlot)) }

// TakeDueSlots hands out the slots that are due at now, but at most limit of them. It returns how
// many it handed out and how late the first one is.
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

// slotsDueBy returns how many slots are due within d after the start. It is also the number of the
// first slot that is not due yet.
func (s *Schedule) slotsDueBy(d time.Duration) uint64 {
	hi, lo := bits.Mul64(uint64(d), s.rate)
	k, _ := bits.Div64(hi, lo, uint64(time.Second)*s.packetsPerSlot)
	for s.offset(k) <= d { // both divisions round down, so k may be one too low
		k++
	}
	return k
}

// SkippedPackets returns how many packets were never sent because their slots were too old.
func (s *Schedule) SkippedPackets() uint64 { return s.skippedSlots * s.packetsPerSlot }
