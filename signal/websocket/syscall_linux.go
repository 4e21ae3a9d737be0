package websocket

import (
	"encoding/binary"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The functions below make the system calls that each message or connection needs. None of them blocks, so they use
// RawSyscall, which does not inform Go's scheduler. Informing it costs more than the calls themselves, and it keeps the
// runtime's monitor thread awake; see poller.

// recvNow reads from a socket. The error is EAGAIN if no bytes have arrived.
func recvNow(fd int, p []byte) (int, error) {
	return syscallResult(unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0))
}

// sendNow writes to a socket as much as its buffer has room for. The error is EAGAIN if it has none.
func sendNow(fd int, p []byte) (int, error) {
	return syscallResult(unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0))
}

// acceptNow accepts the next connection of a listening TCP socket. The error is EAGAIN if there is none.
func acceptNow(fd int) (conn int, from net.Addr, err error) {
	var sa unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	conn, err = syscallResult(unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd),
		uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0))
	if err != nil {
		return -1, nil, err
	}
	return conn, net.TCPAddrFromAddrPort(addrPortOf(&sa)), nil
}

// addrPortOf converts the address of an IPv4 or IPv6 socket. An IPv4-mapped IPv6 address becomes an IPv4 address.
func addrPortOf(sa *unix.RawSockaddrAny) netip.AddrPort {
	switch sa.Addr.Family {
	case unix.AF_INET:
		p := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(p.Addr), portOf(&p.Port))
	case unix.AF_INET6:
		p := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom16(p.Addr).Unmap(), portOf(&p.Port))
	}
	return netip.AddrPort{}
}

// portOf converts a port from network byte order.
func portOf(p *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:]) }

// shutdownNow ends a connection in both directions. The error is ignored: it means that the other side has reset it already.
func shutdownNow(fd int) {
	_, _, _ = unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_RDWR, 0)
}

// closeNow closes a descriptor. The error is ignored, because Linux frees the descriptor in any case.
func closeNow(fd int) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// epollNow fills events with the pending events of an epoll instance, and returns their number.
func epollNow(epoll int, events []unix.EpollEvent) (int, error) {
	return syscallResult(unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0))
}

// syscallResult converts the results of RawSyscall.
func syscallResult(n, _ uintptr, errno unix.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
