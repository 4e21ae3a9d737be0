package turnserver

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsent is how many bytes the kernel takes for a TCP client beyond those that are under way to
// it. By itself Linux takes some 4 MB, which 10,000 clients that don't read would make 40 GB; and
// a packet that waits for seconds is of no use to anybody.
const unsent = 128 << 10

// limitUnsent sets that limit, where c is a socket.
func limitUnsent(c net.Conn) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := sc.SyscallConn(); err == nil {
		// It may fail where c is no TCP socket. A socket that is closed already shows it later.
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent) // as above
		})
	}
}
