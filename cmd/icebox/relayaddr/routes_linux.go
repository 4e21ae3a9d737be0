package relayaddr

import (
	"encoding/binary"
	"iter"
	"syscall"
)

// defaultRoutes returns the default routes of every routing table. If the kernel does not answer, it returns none, and
// only the addresses that the kernel sends from count as routed.
func defaultRoutes() []route {
	dump, err := syscall.NetlinkRIB(syscall.RTM_GETROUTE, syscall.AF_UNSPEC)
	if err != nil {
		return nil
	}
	messages, err := syscall.ParseNetlinkMessage(dump)
	if err != nil {
		return nil
	}
	var all []route
	for i := range messages {
		all = append(all, defaultsOf(&messages[i])...)
	}
	return all
}

// The offsets of struct rtmsg (rtnetlink(7)) that matter here.
const (
	rtmFamily      = 0
	rtmDestination = 1 // bits of the destination prefix
	rtmType        = 7
)

// defaultsOf returns the interfaces that a route leads out of if it is a default
// route, and nothing for any other message.
func defaultsOf(m *syscall.NetlinkMessage) []route {
	if m.Header.Type != syscall.RTM_NEWROUTE || len(m.Data) < syscall.SizeofRtMsg ||
		m.Data[rtmDestination] != 0 || m.Data[rtmType] != syscall.RTN_UNICAST {
		return nil
	}
	family := m.Data[rtmFamily]
	if family != syscall.AF_INET && family != syscall.AF_INET6 {
		return nil
	}
	var all []route
	for a := range records(m.Data[syscall.SizeofRtMsg:], syscall.SizeofRtAttr) {
		value := a[syscall.SizeofRtAttr:]
		switch binary.NativeEndian.Uint16(a[2:]) {
		case syscall.RTA_OIF:
			if len(value) >= 4 {
				all = append(all, route{int(binary.NativeEndian.Uint32(value)), family == syscall.AF_INET})
			}
		case syscall.RTA_MULTIPATH: // several gateways, each a struct rtnexthop with attributes behind it
			for hop := range records(value, syscall.SizeofRtNexthop) {
				all = append(all, route{int(binary.NativeEndian.Uint32(hop[4:])), family == syscall.AF_INET})
			}
		}
	}
	return all
}

// records returns the records in b. Each begins with its length as a 16-bit number, has
// at least minimum bytes, and is padded to a multiple of 4 bytes. A malformed record ends them.
func records(b []byte, minimum int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(b) >= minimum {
			size := int(binary.NativeEndian.Uint16(b))
			if size < minimum || size > len(b) || !yield(b[:size]) {
				return
			}
			b = b[min((size+3)&^3, len(b)):]
		}
	}
}
