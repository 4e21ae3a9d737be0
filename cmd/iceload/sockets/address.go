package sockets

import (
	"encoding/binary"
	"net/netip"
)

// layout is a set of IPv4 loopback addresses, numbered from 0.
type addressRange struct {
	base          uint32
	spreadOver24s bool // over /24s: neighbours in number differ there
}

// Sizes of the layout of clients: 64 second bytes, 256 third ones, 254 fourth ones.
const (
	spreadSecond = 64
	spreadThird  = 256
	spreadFourth = 254
)

// clientLayout spreads clients over 127.64.0.0/10, so that limits for each /24 are
// not met before there are very many.
var clientAddrs = addressRange{base: 127<<24 | 64<<16, spreadOver24s: true}

// peerLayout numbers addresses upwards from base.
func peerAddrs(base netip.Addr) addressRange {
	b := base.As4()
	return addressRange{base: binary.BigEndian.Uint32(b[:])}
}

// size is how many addresses there are.
func (l addressRange) size() int {
	if l.spreadOver24s {
		return spreadSecond * spreadThird * spreadFourth
	}
	return int(128<<24 - 1 - l.base) // 127.255.255.255 is for broadcasts
}

// at is address number i.
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

// index is the number of an address; ok is false if it is not one of them.
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

// PeerAddr is the address of peer i of those that count from base: there are many on
// the IPv4 loopback, and base alone elsewhere.
func PeerAddr(base netip.Addr, i int) netip.Addr {
	if !isLoopback4(base) {
		return base
	}
	return peerAddrs(base).addr(i)
}

// isLoopback4 tells whether many addresses can stand for one: Linux takes all of 127.0.0.0/8 as its own.
func isLoopback4(a netip.Addr) bool { return a.Is4() && a.IsLoopback() }

// unspecified is any address of a's family.
func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}
