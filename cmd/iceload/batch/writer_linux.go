package batch

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bounds of one datagram that stands for several.
const (
	maxSegments  = 64
	maxCoalesced = 65000
)

// sendPatience is how long, in milliseconds, Flush waits for room in the kernel.
const sendWaitMillis = 5

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// Writer collects datagrams and sends them with one system call.
type Writer struct {
	hdrs      []mmsghdr
	iovs      []unix.Iovec
	dests     []*Dest
	datagrams []int // datagrams in each message
	pending   int   // messages waiting
	arena     []byte
	arenaUsed int

	// Lost is how many datagrams the kernel refused, and Err what it said first.
	Lost uint64
	Err  error
}

// NewWriter returns a Writer for at most messages datagrams of at most size bytes at a time.
func NewWriter(messages, size int) *Writer {
	w := &Writer{
		hdrs:      make([]mmsghdr, messages),
		iovs:      make([]unix.Iovec, messages),
		dests:     make([]*Dest, messages),
		datagrams: make([]int, messages),
		arena:     make([]byte, messages*size),
	}
	for i := range w.hdrs {
		w.hdrs[i].hdr.Iov = &w.iovs[i]
		w.hdrs[i].hdr.SetIovlen(1)
	}
	return w
}

// Add adds a datagram of size bytes to d and returns the room for it, which is to be
// filled before Flush. It returns nil if there is no room left.
func (w *Writer) AddDatagram(d *Dest, size int) []byte {
	if w.pending == len(w.hdrs) || w.arenaUsed+size > len(w.arena) {
		return nil
	}
	b := w.arena[w.arenaUsed : w.arenaUsed+size : w.arenaUsed+size]
	w.arenaUsed += size
	if w.pending > 0 && w.canCoalesce(d, size) {
		last := w.pending - 1
		w.datagrams[last]++
		w.iovs[last].SetLen(size * w.datagrams[last])
		w.hdrs[last].hdr.SetControllen(d.segmentControlLen)
		return b
	}
	w.dests[w.pending], w.datagrams[w.pending] = d, 1
	w.iovs[w.pending].Base = &b[0]
	w.iovs[w.pending].SetLen(size)
	h := &w.hdrs[w.pending].hdr
	h.Name, h.Namelen = &d.name[0], d.nameLen
	h.Control = &d.control[0]
	h.SetControllen(d.sourceControlLen)
	w.pending++
	return b
}

// joins tells whether a datagram of size bytes to d may ride on the last one.
func (w *Writer) canCoalesce(d *Dest, size int) bool {
	last := w.pending - 1
	return d == w.dests[last] && size == d.segmentSize && w.datagrams[last] < maxSegments &&
		int(w.iovs[last].Len) == size*w.datagrams[last] && size*(w.datagrams[last]+1) <= maxCoalesced
}

// Waiting tells whether there is something to flush.
func (w *Writer) HasPending() bool { return w.pending > 0 }

// Flush sends what was added. What the kernel does not take is lost, and counted.
func (w *Writer) Flush(s *Socket) {
	waited := false
	for at := 0; at < w.pending; {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd),
			uintptr(unsafe.Pointer(&w.hdrs[at])), uintptr(w.pending-at), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0:
			at += int(n)
			waited = false
		case errno == unix.EINTR:
		case errno == unix.EAGAIN && !waited, errno == unix.ECONNREFUSED && !waited:
			// No room; or an ICMP message about an earlier datagram, which is reported
			// in place of sending this one.
			waited = true
			if errno == unix.EAGAIN {
				_, _ = unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}, sendWaitMillis)
			}
		default:
			if w.Err == nil {
				w.Err = os.NewSyscallError("sendmmsg", errno)
			}
			w.Lost += uint64(w.datagrams[at])
			at++
			waited = false
		}
	}
	w.pending, w.arenaUsed = 0, 0
}
