package limit

import "net/netip"

// ClientPrefix returns the prefix whose addresses count as one client address for all limits: the address itself in
// IPv4, its /64 in IPv6. An IPv4 address that is mapped into IPv6 counts as IPv4. For the zero Addr it returns the zero
// Prefix.
func ClientPrefix(a netip.Addr) netip.Prefix { return prefix(a, 32, 64) }

// prefix returns the prefix of a with bits4 bits in IPv4, bits6 in IPv6.
func prefix(a netip.Addr, bits4, bits6 int) netip.Prefix {
	a = a.Unmap()
	bits := bits4
	if a.Is6() {
		bits = bits6
	}
	p, _ := a.Prefix(bits) // fails only for the zero Addr
	return p
}
