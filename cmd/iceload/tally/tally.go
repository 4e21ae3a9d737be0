// Package tally marks the packets of a load with who sent them, which they are and
// when, and counts from the marks what arrived.
//
// Each flow, one client in one direction, numbers its packets from 0. A receiver
// remembers the last 1,024 numbers, so that a duplicate is told from a packet that was
// overtaken; what is sent and never accepted is lost. A packet that comes later than
// that counts as lost too, and as Stale.
package tally

import (
	"encoding/binary"
)

// MarkSize is how many bytes at the front of a payload a [Mark] takes.
const MarkSize = 24

// Mark is what the front of a payload says.
type Mark struct {
	Run  uint32 // random number of one phase of one run: other packets are strays
	Flow uint32
	Seq  uint64 // below 2^32
	Sent int64  // ns since 1970
}

// Put writes m into b, which has at least MarkSize bytes.
func (m Mark) Put(b []byte) {
	_ = b[MarkSize-1]
	binary.LittleEndian.PutUint32(b, m.Run)
	binary.LittleEndian.PutUint32(b[4:], m.Flow)
	binary.LittleEndian.PutUint64(b[8:], m.Seq)
	binary.LittleEndian.PutUint64(b[16:], uint64(m.Sent))
}

// Read reads the mark of a payload; ok is false if it is too short for one.
func ReadMark(b []byte) (m Mark, ok bool) {
	if len(b) < MarkSize {
		return m, false
	}
	m.Run = binary.LittleEndian.Uint32(b)
	m.Flow = binary.LittleEndian.Uint32(b[4:])
	m.Seq = binary.LittleEndian.Uint64(b[8:])
	m.Sent = int64(binary.LittleEndian.Uint64(b[16:]))
	return m, true
}

const (
	wordBits = 64
	window   = 1024
)

// Flow is what one flow sent and what came of it. The zero value is a flow that has
// not begun.
type Flow struct {
	Sent       uint64
	Received   uint64 // each packet once
	Duplicates uint64
	Reordered  uint64 // received after one that was sent later
	Stale      uint64 // too late to tell whether it is a duplicate

	next uint64 // one above the highest number received
	seen [window / wordBits]uint64
}

// Next returns the number of the packet that is sent now.
func (f *Flow) NextSeq() uint64 {
	f.Sent++
	return f.Sent - 1
}

// Accept counts the packet with number seq, and tells whether it is the first with
// it. A number that was never sent is not accepted.
func (f *Flow) CountArrival(seq uint64) bool {
	switch {
	case seq >= f.Sent:
		return false
	case seq >= f.next:
		f.advance(seq)
	case f.next-seq > window:
		f.Stale++
		return false
	case f.seen[seq%window/wordBits]&(1<<(seq%wordBits)) != 0:
		f.Duplicates++
		return false
	default:
		f.Reordered++
	}
	f.seen[seq%window/wordBits] |= 1 << (seq % wordBits)
	f.Received++
	return true
}

// advance makes seq the highest number, and forgets those that it pushes out.
func (f *Flow) advance(seq uint64) {
	if seq-f.next >= window {
		clear(f.seen[:])
	} else {
		for s := f.next; s <= seq; s++ {
			f.seen[s%window/wordBits] &^= 1 << (s % wordBits)
		}
	}
	f.next = seq + 1
}

// Lost is how many packets never arrived.
func (f *Flow) Lost() uint64 { return f.Sent - f.Received }

// Add adds the counts of other.
func (f *Flow) Add(other *Flow) {
	f.Sent += other.Sent
	f.Received += other.Received
	f.Duplicates += other.Duplicates
	f.Reordered += other.Reordered
	f.Stale += other.Stale
}
