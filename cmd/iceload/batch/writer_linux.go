package batch

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Limits of a message that consists of several datagrams (UDP_SEGMENT): their number and their
// total size in bytes.
const (
	maxSegments  = 64
	maxCoalesced = 65000
)

// sendWaitMillis is how long, in milliseconds, Flush waits for space in the socket's send buffer.
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
	datagrams []int // number of datagrams in each message
	pending   int   // number of messages to flush
	arena     []byte
	arenaUsed int

	// Lost is how many datagrams the kernel refused to send. Err is the first of its errors.
	Lost uint64
	Err  error
}

// NewWriter returns a Writer that holds up to messages messages, and messages*size bytes of payload
// in all.
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

// AddDatagram adds a datagram of size bytes to d. It returns the slice that the caller must fill
// before it calls Flush, or nil if the Writer is full.
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

// canCoalesce reports whether a datagram of size bytes to d can be appended to the last message.
func (w *Writer) canCoalesce(d *Dest, size int) bool {
	last := w.pending - 1
	return d == w.dests[last] && size == d.segmentSize && w.datagrams[last] < maxSegments &&
		int(w.iovs[last].Len) == size*w.datagrams[last] && size*(w.datagrams[last]+1) <= maxCoalesced
}

// HasPending reports whether there is anything to flush.
func (w *Writer) HasPending() bool { return w.pending > 0 }

// Flush sends everything that was added. Datagrams that the kernel refuses are dropped and counted
// as Lost.
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
			// The send buffer is full; or, with ECONNREFUSED, the kernel reports an ICMP error for
			// an earlier datagram instead of sending this one.
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
