package packetio

import (
	"golang.org/x/sys/unix"
)

// CanDontFragment tells whether Packet.DontFragment is obeyed.
const CanDontFragment = true

// dontFragment sets or clears the DF bit of what is sent next. All packets of a
// relay socket are written by its client's reader, so nothing comes in between.
func (u *udp) dontFragment(on bool) bool {
	raw, err := u.conn.SyscallConn()
	if err != nil {
		return false
	}
	mode := unix.IP_PMTUDISC_WANT // the kernel's default
	if on {
		mode = unix.IP_PMTUDISC_PROBE
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		if u.local.Addr().Is4() {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, mode)
		} else {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, mode)
		}
	})
	return err == nil && failed == nil
}
