package turnserver

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// The kernel keeps little of what a TCP client does not read.
func TestUnsentIsLimited(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	limitUnsent(c)
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got int
	if e := raw.Control(func(fd uintptr) { got, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	if got != unsent {
		t.Errorf("%d bytes, want %d", got, unsent)
	}
	near, far := net.Pipe() // no socket
	limitUnsent(near)
	near.Close()
	far.Close()
}
