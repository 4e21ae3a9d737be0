// Package tally puts a [Mark] into each packet of a load. A mark has the sender of the packet, its sequence number and
// the time at which it was sent. From the marks, the receiver counts the packets that arrive.
//
// A flow is one client in one direction. Each flow numbers its packets from 0. The receiver
// remembers which of the last 1,024 numbers have arrived, so that it can tell a duplicate from a
// packet that was overtaken. A packet that was sent but not accepted is lost. A packet that arrives
// after the window has moved past it is counted as lost and as Stale.
package tally

import (
	"encoding/binary"
)

// MarkSize is the size of an encoded [Mark], in bytes.
const MarkSize = 24

// Mark is the data about a packet at the start of its payload.
type Mark struct {
	Run  uint32 // random for each phase of a run; a packet with another number belongs to another phase
	Flow uint32
	Seq  uint64 // below 2^32
	Sent int64  // ns since 1970
}

// Put encodes m into the first MarkSize bytes of b, which must be that long.
func (m Mark) Put(b []byte) {
	_ = b[MarkSize-1]
	binary.LittleEndian.PutUint32(b, m.Run)
	binary.LittleEndian.PutUint32(b[4:], m.Flow)
	binary.LittleEndian.PutUint64(b[8:], m.Seq)
	binary.LittleEndian.PutUint64(b[16:], uint64(m.Sent))
}

// ReadMark decodes the mark at the start of a payload. ok is false if b is too short.
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

// Flow counts the packets of one flow. The zero value is ready to use.
type Flow struct {
	Sent       uint64
	Received   uint64 // without duplicates
	Duplicates uint64
	Reordered  uint64 // arrived after a packet with a higher number
	Stale      uint64 // so late that it may be a duplicate

	next uint64 // one above the highest number received
	seen [window / wordBits]uint64
}

// NextSeq counts a packet as sent and returns its sequence number.
func (f *Flow) NextSeq() uint64 {
	f.Sent++
	return f.Sent - 1
}

// CountArrival counts the arrival of packet seq and reports whether it is the first copy. It
// ignores numbers that were never sent.
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

// advance makes seq the highest number received and clears the bits of the numbers that leave the
// window.
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

// Lost returns how many packets have not arrived.
func (f *Flow) Lost() uint64 { return f.Sent - f.Received }

// Add adds other's counts to f's.
func (f *Flow) Add(other *Flow) {
	f.Sent += other.Sent
	f.Received += other.Received
	f.Duplicates += other.Duplicates
	f.Reordered += other.Reordered
	f.Stale += other.Stale
}
