package socket

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of the kernel that are made for each message. None of them waits, so that the Go runtime isn't told of them:
// telling it costs more than they take, and wakes its monitor (see poller).

func recvNow(fd int, p []byte) (int, error) {
	return number(unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		unix.MSG_DONTWAIT, 0, 0))
}

func sendNow(fd int, p []byte) (int, error) {
	return number(unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0))
}

// epollNow returns how many events there are, without waiting for any.
func epollNow(epoll int, events []unix.EpollEvent) (int, error) {
	return number(unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0))
}

func number(n, _ uintptr, errno unix.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
