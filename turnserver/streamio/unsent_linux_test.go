package streamio

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// The kernel buffers little for a TCP client that does not read.
func TestLimitUnsent(t *testing.T) {
	a, _ := tcpPair(t)
	LimitUnsent(a)
	raw, err := a.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got int
	var failed error
	err = raw.Control(func(fd uintptr) { got, failed = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT) })
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	if got != maxUnsent {
		t.Errorf("%d bytes, want %d", got, maxUnsent)
	}
	near, far := net.Pipe()
	LimitUnsent(near) // not a socket: nothing happens
	near.Close()
	far.Close()
}
