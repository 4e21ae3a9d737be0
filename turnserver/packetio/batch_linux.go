package packetio

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// maxSegments and maxRunBytes limit one run. 64 is UDP_MAX_SEGMENTS of older kernels.
	maxSegments = 64
	maxRunBytes = 65000
	// searchBack is how many of the latest runs, or queues, a Batch searches for one that a packet can join.
	searchBack = 8
	// maxParts is how many packets a Batch gathers from streams before it sends them.
	maxParts = 512
	// scratchSize is the size in bytes of the buffer for the copies that detach makes. It is larger than any packet.
	scratchSize = 256 << 10
)

// Batch holds the packets that were sent since the last flush on behalf of packets that were read. Payloads stay in the buffer
// that they were read into. A Batch is not safe for concurrent use.
type Batch struct {
	deferred
	parts   []part
	runs    []run
	queues  []queue
	scratch []byte
	used    int // bytes of scratch

	msgs    []mmsghdr
	iovs    []unix.Iovec
	names   []sockaddr
	control [][controlSize]byte
}

// part is the payload of one packet.
type part struct {
	data []byte
	next int32 // the next part of the same run
}

// run is a sequence of packets from one socket to one address. All have the same size, but the last may be shorter. One
// system call sends a run.
type run struct {
	addr         netip.AddrPort
	size         int // of the first packet, in bytes
	count, bytes int
	first, last  int32 // parts
	next, prev   int32 // runs of the same queue
	open         bool  // another packet may join
	dontFragment bool
}

// queue holds the runs of one socket, in order.
type queue struct {
	socket      *socket
	first, last int32
	count       int
}

// none is the index that ends a list.
const none = -1

// sharesBuffer reports whether the batch keeps pointers into the buffer of a packet. If so, the packet must be detached
// before the bytes around it are overwritten.
func (b *Batch) sharesBuffer() bool {
	if len(b.parts) >= maxParts {
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

// detach copies p to a place where the bytes around it are free.
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

// add records that s has to send p.
func (b *Batch) add(s *socket, p *Packet) {
	data := p.Payload()
	at := int32(len(b.parts))
	b.parts = append(b.parts, part{data: data, next: none})
	q := b.queue(s)
	if r := b.joinable(q, p); r != nil {
		b.parts[r.last].next, r.last = at, at
		r.count++
		r.bytes += len(data)
		r.open = len(data) == r.size && r.count < maxSegments
		return
	}
	i := int32(len(b.runs))
	b.runs = append(b.runs, run{addr: p.Addr, size: len(data), count: 1, bytes: len(data), first: at, last: at, next: none, prev: q.last,
		open: len(data) > 0 && !p.DontFragment && s.allowsRuns(len(data)), dontFragment: p.DontFragment})
	if q.count == 0 {
		q.first = i
	} else {
		b.runs[q.last].next = i
	}
	q.last = i
	q.count++
}

// queue returns the queue of s, a new one if none of the last searchBack queues belongs to s.
func (b *Batch) queue(s *socket) *queue {
	for i := len(b.queues) - 1; i >= max(0, len(b.queues)-searchBack); i-- {
		if b.queues[i].socket == s {
			return &b.queues[i]
		}
	}
	b.queues = append(b.queues, queue{socket: s, first: none, last: none})
	return &b.queues[len(b.queues)-1]
}

// joinable returns the run that p may join, or nil. Only the last run to an address may grow, which keeps the order of packets.
func (b *Batch) joinable(q *queue, p *Packet) *run {
	for i, n := q.last, 0; i != none && n < searchBack; i, n = b.runs[i].prev, n+1 {
		r := &b.runs[i]
		if r.addr != p.Addr {
			continue
		}
		size := p.End - p.Off
		if r.open && !p.DontFragment && size > 0 && size <= r.size && r.bytes+size <= maxRunBytes {
			return r
		}
		return nil
	}
	return nil
}

// allowsRuns reports whether datagrams of size bytes may be sent in runs.
func (s *socket) allowsRuns(size int) bool {
	limit := int(s.maxSegment.Load())
	return limit == 0 || size < limit
}

// Flush sends everything that was recorded.
func (b *Batch) Flush() {
	b.sendRuns()
	b.flushDeferred()
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

// sendMany sends n runs, beginning with first.
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
			b.sendSingly(s, &b.runs[i], errno)
			done = 1
		}
		at += int(done)
		for range done {
			i = b.runs[i].next
		}
	}
}

// assemble writes n runs, beginning with first, as the kernel's structures.
func (b *Batch) assemble(first int32, n int) {
	parts := 0
	for i, k := first, 0; k < n; i, k = b.runs[i].next, k+1 {
		parts += b.runs[i].count
	}
	// The loop below takes pointers into these slices, so they must not be reallocated in it.
	b.msgs, b.names, b.control = resize(b.msgs, n), resize(b.names, n), resize(b.control, n)
	b.iovs = resize(b.iovs, parts)
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

// resize returns s with n elements, reallocated if it is too small. Its contents are undefined.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, 2*n)
	}
	return s[:n]
}

// sendSingly handles a run that the kernel refused. The kernel returns EINVAL or EMSGSIZE if a segment does not fit
// into the route's MTU, and EIO if the device computes no checksums. In these cases sendSingly sends the packets one by
// one, and the socket no longer sends such runs. After any other error the packets are lost.
func (b *Batch) sendSingly(s *socket, r *run, errno unix.Errno) {
	if r.count == 1 || errno != unix.EINVAL && errno != unix.EIO && errno != unix.EMSGSIZE {
		s.receiver.Lost(r.count)
		return
	}
	limit := r.size
	if errno == unix.EIO {
		limit = 1
	}
	s.maxSegment.Store(int32(limit))
	for p := r.first; p != none; p = b.parts[p].next {
		if !s.sendOne(b.parts[p].data, r.addr) {
			s.receiver.Lost(1)
		}
	}
}
