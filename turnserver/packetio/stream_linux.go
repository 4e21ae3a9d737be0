package packetio

import (
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

// DirectStreams reports whether [Receive] and [Transmit] work on this system.
const DirectStreams = true

// Receive reads from a stream socket without blocking. again is true if no bytes have arrived yet. At the end of the
// stream the error is io.EOF.
func Receive(fd uintptr, b []byte) (n int, again bool, err error) {
	n, errno := transfer(unix.SYS_RECVFROM, fd, b, unix.MSG_DONTWAIT)
	switch {
	case errno == unix.EAGAIN:
		return 0, true, nil
	case errno != 0:
		return 0, false, errno
	case n == 0:
		return 0, false, io.EOF
	}
	return n, false, nil
}

// Transmit writes as much of b to a stream socket as the kernel accepts without blocking. n is the number of bytes
// written.
func Transmit(fd uintptr, b []byte) (n int, err error) {
	n, errno := transfer(unix.SYS_SENDTO, fd, b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if errno != 0 && errno != unix.EAGAIN {
		return 0, errno
	}
	return n, nil
}

// transfer calls recv(2) or send(2), again after EINTR.
func transfer(call, fd uintptr, b []byte, flags uintptr) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			n = 0
		}
		return int(n), errno
	}
}
