package packetio

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// CanDontFragment reports whether Packet.DontFragment works on this system.
const CanDontFragment = true

// Share returns c and n-1 further sockets with its address, one for each worker. The kernel spreads clients over them
// by the clients' addresses. If the kernel refuses a further socket, Share returns fewer than n.
//
// c must have been bound without SO_REUSEPORT, which proves that no other process uses the port. Share then sets the
// option, so from then on only sockets of the same user can be added.
func Share(c *net.UDPConn, n int) []*net.UDPConn {
	shared := []*net.UDPConn{c}
	raw, err := c.SyscallConn()
	if n < 2 || err != nil || reusePort(raw) != nil {
		return shared
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { return reusePort(raw) }}
	for len(shared) < n {
		sibling, err := config.ListenPacket(context.Background(), c.LocalAddr().Network(), c.LocalAddr().String())
		if err != nil {
			return shared
		}
		shared = append(shared, sibling.(*net.UDPConn))
	}
	return shared
}

func reusePort(raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	if err != nil {
		return err
	}
	return failed
}

// dontFragment sets or clears the DF bit of datagrams that c sends next, and reports whether it could.
func dontFragment(c *net.UDPConn, local netip.AddrPort, on bool) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = setDontFragment(int(fd), local.Addr().Is4(), on) })
	return err == nil && failed == nil
}

func setDontFragment(fd int, is4, on bool) error {
	mode := unix.IP_PMTUDISC_WANT // the kernel's default
	if on {
		mode = unix.IP_PMTUDISC_PROBE
	}
	if is4 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, mode)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, mode)
}
