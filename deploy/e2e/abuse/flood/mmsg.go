package flood

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	size uint32
	_    [4]byte
}

// batch is the memory of one system call: as many datagrams as it carries at once.
type batch struct {
	headers []mmsghdr
	vectors []unix.Iovec
	bufs    [][]byte
}

func newBatch(n, size int) *batch {
	b := &batch{headers: make([]mmsghdr, n), vectors: make([]unix.Iovec, n), bufs: make([][]byte, n)}
	for i := range n {
		b.bufs[i] = make([]byte, size)
		b.vectors[i].Base = &b.bufs[i][0]
		b.vectors[i].SetLen(size)
		b.headers[i].Iov = &b.vectors[i]
		b.headers[i].SetIovlen(1)
	}
	return b
}

// send sends the first n buffers on a connected socket and returns how many the kernel took.
func (b *batch) send(fd, n int) int { return b.call(unix.SYS_SENDMMSG, fd, n) }

// receive fills up to all buffers with what waits at a socket and returns how many it were, and their bytes.
func (b *batch) receive(fd int) (n, bytes int) {
	n = b.call(unix.SYS_RECVMMSG, fd, len(b.headers))
	for i := range n {
		bytes += int(b.headers[i].size)
	}
	return n, bytes
}

func (b *batch) call(trap uintptr, fd, n int) int {
	done, _, errno := unix.Syscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[0])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0 // EAGAIN: nothing there, or no room
	}
	return int(done)
}
