package packetio

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	inboxSlots = 64
	// maxPerTurn is the greatest number of datagrams that a loop reads from one socket before it reads the next socket.
	maxPerTurn = 32
	// slotSize is the size of a datagram with its headroom and tailroom, and padding. It is not a multiple of a large power
	// of two, so that the starts of slots do not compete for the same cache lines.
	slotSize = Headroom + MaxDatagram + Tailroom + 2249
	// controlSize is the room for one control message, UDP_GRO or UDP_SEGMENT.
	controlSize = 32
)

// mmsghdr is struct mmsghdr of the kernel.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// inbox holds the datagrams that a loop has read in the current round.
type inbox struct {
	used    int  // slots in use
	read    int  // datagrams since the loop's last pause; coalesced ones count as one
	more    bool // since that pause a socket has used up its turn, so it may have more datagrams
	buf     []byte
	packet  Packet
	msgs    [inboxSlots]mmsghdr
	iovs    [inboxSlots]unix.Iovec
	names   [inboxSlots]sockaddr
	control [inboxSlots][controlSize]byte
}

func (b *inbox) init() {
	b.buf = make([]byte, inboxSlots*slotSize)
	for i := range b.msgs {
		b.iovs[i].Base = &b.buf[i*slotSize+Headroom]
		b.iovs[i].SetLen(MaxDatagram)
		b.msgs[i].hdr.Name = b.names[i].pointer()
		b.msgs[i].hdr.Iov = &b.iovs[i]
		b.msgs[i].hdr.SetIovlen(1)
		b.msgs[i].hdr.Control = &b.control[i][0]
	}
}

func (b *inbox) full() bool { return b.used == inboxSlots }
func (b *inbox) reset()     { b.used = 0 }

// readFrom reads datagrams from s, at most maxPerTurn of them, and hands them to the receiver of s.
func (b *inbox) readFrom(s *socket, out *Batch) {
	if !s.acquire() {
		return
	}
	defer s.release()
	first := b.used
	want := min(int(s.expect), inboxSlots-first)
	for i := first; i < first+want; i++ {
		b.msgs[i].hdr.Namelen = unix.SizeofSockaddrInet6
		b.msgs[i].hdr.SetControllen(controlSize)
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&b.msgs[first])), uintptr(want), 0, 0, 0)
	if errno != 0 {
		return // EAGAIN or a transient error; the epoll reports the socket again when it has more
	}
	switch {
	case int(n) == want:
		b.more = b.more || want == maxPerTurn
		s.expect = min(2*s.expect, maxPerTurn)
	case int32(n) < s.expect/2:
		s.expect /= 2
	}
	b.used += int(n)
	b.read += int(n)
	for i := first; i < b.used; i++ {
		b.deliver(i, s, out)
	}
}

// deliver hands the datagrams in a slot to the receiver of s: one, or all that the kernel has coalesced.
func (b *inbox) deliver(slot int, s *socket, out *Batch) {
	m := &b.msgs[slot]
	buf := b.buf[slot*slotSize : (slot+1)*slotSize]
	size := int(m.n)
	segment := size
	if m.hdr.Controllen > 0 {
		segment = b.segment(slot, size)
	}
	if segment > s.longest || m.hdr.Flags&unix.MSG_TRUNC != 0 {
		for range max(1, (size+segment-1)/max(segment, 1)) {
			s.receiver.Oversized()
		}
		return
	}
	p := &b.packet
	from := b.names[slot].get()
	end := Headroom + size
	for at := Headroom; ; at += segment {
		p.Addr, p.Buf = from, buf
		p.Off, p.End = at, min(at+segment, end)
		p.batch, p.shared, p.DontFragment = out, segment < size, false
		s.receiver.Receive(p)
		if at+segment >= end {
			return
		}
	}
}

// segment returns the length in bytes of the datagrams that were coalesced into a slot; the last one may be shorter.
func (b *inbox) segment(slot, size int) int {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b.control[slot]))
	if h.Level != unix.SOL_UDP || h.Type != unix.UDP_GRO {
		return size
	}
	if n := int(int32(binary.NativeEndian.Uint32(b.control[slot][unix.CmsgLen(0):]))); n > 0 && n < size {
		return n
	}
	return size
}
