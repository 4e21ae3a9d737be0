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

// batch has the memory for the datagrams of one system call.
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

// receive reads the datagrams that wait at a socket, at most one for each buffer. It returns their number and total size.
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
		return 0 // EAGAIN: no datagram waits, or the send buffer is full
	}
	return int(done)
}
