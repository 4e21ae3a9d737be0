package sockets

import (
	"encoding/binary"
	"net/netip"
)

// addressRange is a set of IPv4 loopback addresses, numbered from 0.
type addressRange struct {
	base          uint32
	spreadOver24s bool // consecutive numbers are in different /24s
}

// The values that the second, third and fourth bytes of a client's address can have. The fourth is
// never 0 or 255.
const (
	spreadSecond = 64
	spreadThird  = 256
	spreadFourth = 254
)

// clientAddrs spreads clients over 127.64.0.0/10, one per /24 for the first 16,384, so that few of
// them share a limit that the server applies per /24.
var clientAddrs = addressRange{base: 127<<24 | 64<<16, spreadOver24s: true}

// peerAddrs returns the range of addresses from base up.
func peerAddrs(base netip.Addr) addressRange {
	b := base.As4()
	return addressRange{base: binary.BigEndian.Uint32(b[:])}
}

// size returns the number of addresses.
func (l addressRange) size() int {
	if l.spreadOver24s {
		return spreadSecond * spreadThird * spreadFourth
	}
	return int(128<<24 - 1 - l.base) // 127.255.255.255 is the broadcast address
}

// addr returns address number i.
func (l addressRange) addr(i int) netip.Addr {
	n := l.base + uint32(i)
	if l.spreadOver24s {
		second, third, fourth := i%spreadSecond, i/spreadSecond%spreadThird, i/spreadSecond/spreadThird
		n = l.base + uint32(second<<16|third<<8|(fourth+1))
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

// index returns the number of address a. ok is false if a is not in the range.
func (l addressRange) index(a netip.Addr) (i int, ok bool) {
	if !a.Is4() {
		return 0, false
	}
	b := a.As4()
	n := binary.BigEndian.Uint32(b[:])
	if n < l.base {
		return 0, false
	}
	if !l.spreadOver24s {
		i = int(n - l.base)
		return i, i < l.size()
	}
	rest := int(n - l.base)
	second, third, fourth := rest>>16, rest>>8&0xFF, rest&0xFF-1
	if second >= spreadSecond || fourth < 0 || fourth >= spreadFourth {
		return 0, false
	}
	return second + spreadSecond*(third+spreadThird*fourth), true
}

// PeerAddr returns the address of peer i if the first peer's is base. On the IPv4 loopback each
// peer has its own address; elsewhere they all have base.
func PeerAddr(base netip.Addr, i int) netip.Addr {
	if !isLoopback4(base) {
		return base
	}
	return peerAddrs(base).addr(i)
}

// isLoopback4 reports whether a is in 127.0.0.0/8. Linux can use all of these addresses without configuration.
func isLoopback4(a netip.Addr) bool { return a.Is4() && a.IsLoopback() }

// unspecified returns the wildcard address of a's family.
func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}
