package peer

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
)

// specialPurpose has the entries of the IANA registries of special-purpose addresses, including globally reachable ones
// that no WebRTC peer can have. It also has multicast, the reserved class E, and the IPv6 forms that contain an IPv4
// address. The most specific prefix comes first.
var specialPurpose = compile([]struct{ prefix, name string }{
	{"0.0.0.0/8", "this network"},                 // RFC 791 section 3.2
	{"10.0.0.0/8", "private-use"},                 // RFC 1918
	{"100.64.0.0/10", "shared address space"},     // RFC 6598
	{"127.0.0.0/8", "loopback"},                   // RFC 1122 section 3.2.1.3
	{"169.254.0.0/16", "link-local"},              // RFC 3927
	{"172.16.0.0/12", "private-use"},              // RFC 1918
	{"192.0.0.0/24", "ietf protocol assignments"}, // RFC 6890 section 2.1
	{"192.0.2.0/24", "documentation"},             // RFC 5737
	{"192.31.196.0/24", "as112"},                  // RFC 7535
	{"192.52.193.0/24", "amt"},                    // RFC 7450
	{"192.88.99.0/24", "6to4 relay anycast"},      // RFC 7526
	{"192.168.0.0/16", "private-use"},             // RFC 1918
	{"192.175.48.0/24", "as112"},                  // RFC 7534
	{"198.18.0.0/15", "benchmarking"},             // RFC 2544
	{"198.51.100.0/24", "documentation"},          // RFC 5737
	{"203.0.113.0/24", "documentation"},           // RFC 5737
	{"224.0.0.0/4", "multicast"},                  // RFC 1112 section 4
	{"240.0.0.0/4", "reserved"},                   // RFC 1112 section 4
	{"255.255.255.255/32", "limited broadcast"},   // RFC 919 section 7

	{"::/128", "unspecified"},                  // RFC 4291 section 2.5.2
	{"::1/128", "loopback"},                    // RFC 4291 section 2.5.3
	{"::/96", "ipv4-compatible"},               // RFC 4291 section 2.5.5.1
	{"::ffff:0:0/96", "ipv4-mapped"},           // RFC 4291 section 2.5.5.2
	{"::ffff:0:0:0/96", "ipv4-translated"},     // RFC 2765 section 2.1
	{"64:ff9b::/96", "nat64"},                  // RFC 6052
	{"64:ff9b:1::/48", "local-use nat64"},      // RFC 8215
	{"100::/64", "discard-only"},               // RFC 6666
	{"100:0:0:1::/64", "dummy"},                // RFC 9780
	{"2001::/23", "ietf protocol assignments"}, // RFC 2928
	{"2001::/32", "teredo"},                    // RFC 4380
	{"2001:db8::/32", "documentation"},         // RFC 3849
	{"2002::/16", "6to4"},                      // RFC 3056
	{"2620:4f:8000::/48", "as112"},             // RFC 7534
	{"3fff::/20", "documentation"},             // RFC 9637
	{"5f00::/16", "segment routing"},           // RFC 9602
	{"fc00::/7", "unique-local"},               // RFC 4193
	{"fe80::/10", "link-local"},                // RFC 4291 section 2.5.6
	{"fec0::/10", "site-local"},                // RFC 3879
	{"ff00::/8", "multicast"},                  // RFC 4291 section 2.7
})

func compile(table []struct{ prefix, name string }) []entry {
	entries := make([]entry, 0, len(table))
	for _, t := range table {
		entries = append(entries, entry{
			prefix:  netip.MustParsePrefix(t.prefix),
			verdict: Verdict{Rule: "special-purpose: " + t.name + " " + t.prefix},
		})
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Compare(b.prefix.Bits(), a.prefix.Bits())
	})
	return entries
}

// embedded returns the IPv4 address that an IPv6 address contains. ok is false if it contains none.
func embedded(b [16]byte) (inner netip.Addr, ok bool) {
	high, mid, low := binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint32(b[8:]), [4]byte(b[12:])
	switch {
	case high == 0 && mid == 0: // IPv4-compatible, except :: and ::1
		ok = binary.BigEndian.Uint32(low[:]) > 1
	case high == 0 && (mid == 0xffff || mid == 0xffff0000): // IPv4-mapped, IPv4-translated
		ok = true
	case high == 0x0064ff9b<<32 && mid == 0: // NAT64
		ok = true
	case high>>16 == 0x0064ff9b0001: // local-use NAT64
		ok = true
	case high>>48 == 0x2002: // 6to4
		return netip.AddrFrom4([4]byte(b[2:])), true
	case high>>32 == 0x20010000: // Teredo: the client's address, inverted
		for i := range low {
			low[i] ^= 0xff
		}
		ok = true
	}
	return netip.AddrFrom4(low), ok
}
