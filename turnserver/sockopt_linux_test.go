package turnserver

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The server enlarges the receive buffer of a client socket, which bridges pauses of its reader.
func TestReceiveBuffer(t *testing.T) {
	ts := serve(t, relayApart)
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	same, err := c.File() // AddUDP takes ownership of c
	if err != nil {
		t.Fatal(err)
	}
	defer same.Close()
	before := sockopt(t, same, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err := ts.AddUDP(c, UDPOptions{}); err != nil {
		t.Fatal(err)
	}
	if after := sockopt(t, same, unix.SOL_SOCKET, unix.SO_RCVBUF); after <= before {
		t.Errorf("%d bytes, %d before", after, before)
	}
}

func sockopt(t *testing.T, c syscall.Conn, level, name int) (value int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { value, failed = unix.GetsockoptInt(int(fd), level, name) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return value
}
