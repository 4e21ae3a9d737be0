package packetio

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// mostSegments and mostBytes are what one run may have (UDP_MAX_SEGMENTS of older kernels).
	mostSegments = 64
	mostBytes    = 65000
	// searchBack is how far back a run is looked for that a packet could join.
	searchBack = 8
	// mostParts is how many packets of a stream are gathered.
	mostParts = 512
	// scratchSize holds the copies that detach makes; there is always room for one.
	scratchSize = 256 << 10
)

// Batch holds what was sent on behalf of packets since the last flush. Payloads stay where
// they were read.
type Batch struct {
	later
	parts   []part
	runs    []run
	queues  []queue
	scratch []byte
	used    int // of scratch

	msgs    []mmsghdr
	iovs    []unix.Iovec
	names   []sockaddr
	control [][controlSize]byte
}

// part is the payload of one packet.
type part struct {
	data []byte
	next int32 // of the same run
}

// run is a sequence of packets from one socket to one address, all of one size but the last.
type run struct {
	addr         netip.AddrPort
	size         int // of the first
	count, bytes int
	first, last  int32 // parts
	next         int32 // run of the same queue
	prev         int32
	open         bool // may grow
	dontFragment bool
}

// queue has the runs of one socket, in order.
type queue struct {
	socket      *socket
	first, last int32
	count       int
}

const none = -1

// joins tells that packets of one buffer may be given to the batch.
func (b *Batch) joins() bool {
	if len(b.parts) >= mostParts {
		b.Flush()
	}
	return true
}

func (b *Batch) init() {
	const room = 2 * inboxSlots
	b.parts, b.runs, b.queues = make([]part, 0, room), make([]run, 0, room), make([]queue, 0, room)
	b.msgs, b.iovs = make([]mmsghdr, 0, room), make([]unix.Iovec, 0, room)
	b.names, b.control = make([]sockaddr, 0, room), make([][controlSize]byte, 0, room)
}

// detach copies p to where it has room around it.
func (b *Batch) detach(p *Packet) {
	size := p.End - p.Off
	need := Headroom + size + Tailroom
	if b.used+need > len(b.scratch) {
		b.Flush()
		if b.scratch == nil {
			b.scratch = make([]byte, scratchSize)
		}
	}
	buf := b.scratch[b.used : b.used+need : b.used+need]
	b.used += need
	copy(buf[Headroom:], p.Payload())
	p.Buf, p.Off, p.End, p.shared = buf, Headroom, Headroom+size, false
}

// add takes p for s to send.
func (b *Batch) add(s *socket, p *Packet) {
	data := p.Payload()
	at := int32(len(b.parts))
	b.parts = append(b.parts, part{data: data, next: none})
	q := b.queue(s)
	if r := b.joinable(q, p); r != nil {
		b.parts[r.last].next, r.last = at, at
		r.count++
		r.bytes += len(data)
		r.open = len(data) == r.size && r.count < mostSegments
		return
	}
	i := int32(len(b.runs))
	b.runs = append(b.runs, run{addr: p.Addr, size: len(data), count: 1, bytes: len(data), first: at, last: at, next: none, prev: q.last,
		open: len(data) > 0 && !p.DontFragment && s.inRuns(len(data)), dontFragment: p.DontFragment})
	if q.count == 0 {
		q.first = i
	} else {
		b.runs[q.last].next = i
	}
	q.last = i
	q.count++
}

// queue returns the queue of s.
func (b *Batch) queue(s *socket) *queue {
	for i := len(b.queues) - 1; i >= max(0, len(b.queues)-searchBack); i-- {
		if b.queues[i].socket == s {
			return &b.queues[i]
		}
	}
	b.queues = append(b.queues, queue{socket: s, first: none, last: none})
	return &b.queues[len(b.queues)-1]
}

// joinable returns the run that p may be added to. Only the last one to its address may grow, to keep the order.
func (b *Batch) joinable(q *queue, p *Packet) *run {
	for i, n := q.last, 0; i != none && n < searchBack; i, n = b.runs[i].prev, n+1 {
		r := &b.runs[i]
		if r.addr != p.Addr {
			continue
		}
		size := p.End - p.Off
		if r.open && !p.DontFragment && size > 0 && size <= r.size && r.bytes+size <= mostBytes {
			return r
		}
		return nil
	}
	return nil
}

// inRuns tells whether datagrams of this size may be sent in runs.
func (s *socket) inRuns(size int) bool {
	limit := int(s.plainFrom.Load())
	return limit == 0 || size < limit
}

// Flush sends everything.
func (b *Batch) Flush() {
	b.sendRuns()
	b.flushLater()
}

func (b *Batch) sendRuns() {
	b.used = 0
	if len(b.runs) == 0 {
		return
	}
	for i := range b.queues {
		q := &b.queues[i]
		if q.socket.acquire() {
			b.send(q)
			q.socket.release()
		} else {
			q.socket.receiver.Lost(q.count)
		}
	}
	clear(b.parts)
	clear(b.queues)
	b.parts, b.runs, b.queues = b.parts[:0], b.runs[:0], b.queues[:0]
}

// send sends the runs of one socket.
func (b *Batch) send(q *queue) {
	from := q.first
	n := 0
	for i := q.first; i != none; i = b.runs[i].next {
		if b.runs[i].dontFragment {
			b.sendMany(q.socket, from, n)
			undo := q.socket.dontFragment()
			b.sendMany(q.socket, i, 1)
			undo()
			from, n = b.runs[i].next, 0
			continue
		}
		n++
	}
	b.sendMany(q.socket, from, n)
}

// sendMany sends n runs from first on.
func (b *Batch) sendMany(s *socket, first int32, n int) {
	if n == 0 {
		return
	}
	b.assemble(first, n)
	i := first
	for at := 0; at < n; {
		done, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&b.msgs[at])), uintptr(n-at), 0, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			b.refused(s, &b.runs[i], errno)
			done = 1
		}
		at += int(done)
		for range done {
			i = b.runs[i].next
		}
	}
}

// assemble writes the kernel's form of n runs from first on.
func (b *Batch) assemble(first int32, n int) {
	parts := 0
	for i, k := first, 0; k < n; i, k = b.runs[i].next, k+1 {
		parts += b.runs[i].count
	}
	// Pointers into these are taken: they must not move.
	b.msgs, b.names, b.control = room(b.msgs, n), room(b.names, n), room(b.control, n)
	b.iovs = room(b.iovs, parts)
	at := 0
	for i, k := first, 0; k < n; i, k = b.runs[i].next, k+1 {
		r := &b.runs[i]
		begin := at
		for p := r.first; p != none; p = b.parts[p].next {
			data := b.parts[p].data
			b.iovs[at].Base = unsafe.SliceData(data)
			b.iovs[at].SetLen(len(data))
			at++
		}
		b.names[k].set(r.addr)
		h := &b.msgs[k].hdr
		*h = unix.Msghdr{Name: b.names[k].pointer(), Namelen: b.names[k].size, Iov: &b.iovs[begin]}
		h.SetIovlen(at - begin)
		if r.count > 1 {
			c := (*unix.Cmsghdr)(unsafe.Pointer(&b.control[k]))
			c.Level, c.Type = unix.SOL_UDP, unix.UDP_SEGMENT
			c.SetLen(unix.CmsgLen(2))
			binary.NativeEndian.PutUint16(b.control[k][unix.CmsgLen(0):], uint16(r.size))
			h.Control = &b.control[k][0]
			h.SetControllen(unix.CmsgSpace(2))
		}
	}
}

// room returns s with n elements.
func room[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, 2*n)
	}
	return s[:n]
}

// refused deals with a run that the kernel did not take. A run may be what it can't
// do: EINVAL where a segment does not fit into the route's MTU, EIO where the device computes no
// checksums. Then its packets are sent one by one, and such runs not tried again.
func (b *Batch) refused(s *socket, r *run, errno unix.Errno) {
	if r.count == 1 || errno != unix.EINVAL && errno != unix.EIO && errno != unix.EMSGSIZE {
		s.receiver.Lost(r.count)
		return
	}
	limit := r.size
	if errno == unix.EIO {
		limit = 1
	}
	s.plainFrom.Store(int32(limit))
	for p := r.first; p != none; p = b.parts[p].next {
		if !s.sendOne(b.parts[p].data, r.addr) {
			s.receiver.Lost(1)
		}
	}
}
