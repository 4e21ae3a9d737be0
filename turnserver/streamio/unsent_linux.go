package streamio

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxUnsent is how many bytes the kernel buffers for a TCP client beyond those in flight. By default Linux buffers
// about 4 MB, so 10,000 clients that do not read would take 40 GB; and a packet that has waited for seconds is useless.
const maxUnsent = 128 << 10

// LimitUnsent limits the kernel's send buffer for c to about 128 KiB (TCP_NOTSENT_LOWAT), if c is a TCP socket.
func LimitUnsent(c net.Conn) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := sc.SyscallConn(); err == nil {
		// Both calls fail on a closed socket, which the next read reports; the inner one also if c is not a TCP socket.
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent) // see above
		})
	}
}
