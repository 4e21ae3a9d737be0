package peer

import (
	"net/netip"
	"testing"
)

func special(s string) Verdict { return Verdict{false, "special-purpose: " + s} }

func TestSpecialPurpose(t *testing.T) {
	p := NewPolicy(nil, nil)
	for peer, want := range map[string]Verdict{
		"0.0.0.0":                  special("this network 0.0.0.0/8"),
		"0.255.255.255":            special("this network 0.0.0.0/8"),
		"1.0.0.0":                  allowByDefault,
		"9.255.255.255":            allowByDefault,
		"10.0.0.0":                 special("private-use 10.0.0.0/8"),
		"10.255.255.255":           special("private-use 10.0.0.0/8"),
		"11.0.0.0":                 allowByDefault,
		"100.63.255.255":           allowByDefault,
		"100.64.0.0":               special("shared address space 100.64.0.0/10"),
		"100.127.255.255":          special("shared address space 100.64.0.0/10"),
		"100.128.0.0":              allowByDefault,
		"127.0.0.1":                special("loopback 127.0.0.0/8"),
		"127.255.255.255":          special("loopback 127.0.0.0/8"),
		"169.254.169.254":          special("link-local 169.254.0.0/16"), // cloud metadata
		"172.15.255.255":           allowByDefault,
		"172.16.0.0":               special("private-use 172.16.0.0/12"),
		"172.31.255.255":           special("private-use 172.16.0.0/12"),
		"172.32.0.0":               allowByDefault,
		"192.0.0.9":                special("ietf protocol assignments 192.0.0.0/24"),
		"192.0.1.0":                allowByDefault,
		"192.0.2.1":                special("documentation 192.0.2.0/24"),
		"192.31.196.1":             special("as112 192.31.196.0/24"),
		"192.52.193.1":             special("amt 192.52.193.0/24"),
		"192.88.99.1":              special("6to4 relay anycast 192.88.99.0/24"),
		"192.168.1.1":              special("private-use 192.168.0.0/16"),
		"192.169.0.0":              allowByDefault,
		"192.175.48.1":             special("as112 192.175.48.0/24"),
		"198.18.0.1":               special("benchmarking 198.18.0.0/15"),
		"198.19.255.255":           special("benchmarking 198.18.0.0/15"),
		"198.20.0.0":               allowByDefault,
		"198.51.100.7":             special("documentation 198.51.100.0/24"),
		"203.0.113.7":              special("documentation 203.0.113.0/24"),
		"223.255.255.255":          allowByDefault,
		"224.0.0.251":              special("multicast 224.0.0.0/4"),
		"239.255.255.255":          special("multicast 224.0.0.0/4"),
		"240.0.0.0":                special("reserved 240.0.0.0/4"),
		"255.255.255.254":          special("reserved 240.0.0.0/4"),
		"255.255.255.255":          special("limited broadcast 255.255.255.255/32"),
		"8.8.8.8":                  allowByDefault,
		"::":                       special("unspecified ::/128"),
		"::1":                      special("loopback ::1/128"),
		"::2":                      special("ipv4-compatible ::/96"),
		"::127.0.0.1":              special("ipv4-compatible ::/96"),
		"::8.8.8.8":                special("ipv4-compatible ::/96"),
		"::ffff:192.0.2.1":         special("ipv4-mapped ::ffff:0:0/96"),
		"::ffff:8.8.8.8":           special("ipv4-mapped ::ffff:0:0/96"),
		"::ffff:0:127.0.0.1":       special("ipv4-translated ::ffff:0:0:0/96"),
		"64:ff9b::7f00:1":          special("nat64 64:ff9b::/96"),
		"64:ff9b:1::7f00:1":        special("local-use nat64 64:ff9b:1::/48"),
		"100::1":                   special("discard-only 100::/64"),
		"100:0:0:1::1":             special("dummy 100:0:0:1::/64"),
		"2001::7f00:1":             special("teredo 2001::/32"),
		"2001:1::1":                special("ietf protocol assignments 2001::/23"),
		"2001:1ff:ffff::":          special("ietf protocol assignments 2001::/23"),
		"2001:200::1":              allowByDefault,
		"2001:db8::1":              special("documentation 2001:db8::/32"),
		"2001:db9::1":              allowByDefault,
		"2002:7f00:1::1":           special("6to4 2002::/16"),
		"2003::1":                  allowByDefault,
		"2620:4f:8000::1":          special("as112 2620:4f:8000::/48"),
		"2620:4f:8001::1":          allowByDefault,
		"2a00:1450:4001:81b::200e": allowByDefault,
		"3fff:fff::1":              special("documentation 3fff::/20"),
		"3fff:1000::1":             allowByDefault,
		"5f00::1":                  special("segment routing 5f00::/16"),
		"fc00::1":                  special("unique-local fc00::/7"),
		"fd00:ec2::254":            special("unique-local fc00::/7"), // cloud metadata
		"fe80::1":                  special("link-local fe80::/10"),
		"fe80::1%eth0":             special("link-local fe80::/10"),
		"febf::1":                  special("link-local fe80::/10"),
		"fec0::1":                  special("site-local fec0::/10"),
		"ff02::1":                  special("multicast ff00::/8"),
		"ff0e::1":                  special("multicast ff00::/8"),
	} {
		a := netip.MustParseAddr(peer)
		if got := p.Peer(netip.AddrPortFrom(a, 443)); got != want {
			t.Errorf("Peer(%s) = %+v, want %+v", peer, got, want)
		}
		if got := p.Address(a); got != want {
			t.Errorf("Address(%s) = %+v, want %+v", peer, got, want)
		}
	}
}
