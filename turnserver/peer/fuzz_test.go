package peer

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// scan is a second implementation of the policy, without order or index. Of all steps that apply to an address, it
// takes the one with the highest precedence.
func scan(rules []Rule, own []netip.Addr, a netip.Addr, port uint16) bool {
	best, allowed := -1, true
	vote := func(rank int, allow bool) {
		if rank > best || rank == best && !allow {
			best, allowed = rank, allow
		}
	}
	for _, e := range specialPurpose {
		if e.prefix.Contains(a) {
			vote(0, false)
		}
	}
	for _, r := range rules {
		if r.Prefix.Contains(a) && (r.Ports == PortRange{} || r.Ports.Min <= port && port <= r.Ports.Max) {
			rank := 1 + 2*r.Prefix.Bits()
			if r.Ports != (PortRange{}) {
				rank++
			}
			vote(rank, r.Allow)
		}
	}
	for _, o := range own {
		if a == o {
			vote(1000, false)
		}
	}
	if inner, ok := carried(a); ok && allowed {
		return scan(rules, own, inner, port)
	}
	return allowed
}

// carried is a second implementation of embedded.
func carried(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	for prefix, at := range map[string]int{
		"::/96": 12, "::ffff:0:0/96": 12, "::ffff:0:0:0/96": 12, "64:ff9b::/96": 12, "64:ff9b:1::/48": 12, "2002::/16": 2, "2001::/32": -12,
	} {
		if a.Is4() || a == netip.IPv6Unspecified() || a == netip.IPv6Loopback() || !netip.MustParsePrefix(prefix).Contains(a) {
			continue
		}
		if at < 0 {
			return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}), true
		}
		return netip.AddrFrom4([4]byte(b[at:])), true
	}
	return netip.Addr{}, false
}

// take removes n bytes from the front of b and returns them, or zeros if b is too short.
func take(b *[]byte, n int) []byte {
	out := make([]byte, n)
	*b = (*b)[copy(out, *b):]
	return out
}

func takeAddr(b *[]byte) netip.Addr {
	a := take(b, 4)
	switch take(b, 1)[0] % 8 {
	case 0, 1:
		return netip.AddrFrom4([4]byte(a))
	case 2:
		return netip.AddrFrom16([16]byte{10: 255, 11: 255, 12: a[0], 13: a[1], 14: a[2], 15: a[3]})
	case 3:
		return netip.AddrFrom16([16]byte{1: 0x64, 2: 0xff, 3: 0x9b, 12: a[0], 13: a[1], 14: a[2], 15: a[3]})
	case 4:
		return netip.AddrFrom16([16]byte{0: 0x20, 1: 0x02, 2: a[0], 3: a[1], 4: a[2], 5: a[3]})
	case 5:
		return netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 12: a[0], 13: a[1], 14: a[2], 15: a[3]})
	case 6:
		return netip.AddrFrom16([16]byte{12: a[0], 13: a[1], 14: a[2], 15: a[3]})
	}
	return netip.AddrFrom16([16]byte(take(b, 16)))
}

func takeRule(b *[]byte) Rule {
	a, n := takeAddr(b), take(b, 6)
	r := Rule{Prefix: netip.PrefixFrom(a, int(n[0])%(a.BitLen()+1)).Masked(), Allow: n[1]&1 != 0}
	if n[1]&2 != 0 {
		r.Ports = PortRange{binary.BigEndian.Uint16(n[2:]), binary.BigEndian.Uint16(n[4:])}
	}
	return r
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1, 0, 0, 80})
	f.Add([]byte{127, 0, 0, 1, 2, 0, 80, 10, 0, 0, 0, 2, 96, 1, 0, 0, 0, 0})
	f.Add([]byte{8, 8, 8, 8, 4, 1, 187, 8, 8, 0, 0, 0, 16, 3, 1, 187, 1, 187, 8, 8, 0, 0, 4, 16, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, port := takeAddr(&b), max(1, binary.BigEndian.Uint16(take(&b, 2)))
		own := []netip.Addr{takeAddr(&b)}
		var rules []Rule
		for len(b) > 0 && len(rules) < 40 {
			r := takeRule(&b)
			// Malformed and IPv4-mapped rules are rewritten: TestRules has those.
			if r.Validate() == nil && !r.Prefix.Addr().Is4In6() {
				rules = append(rules, r)
			}
		}
		own[0] = own[0].Unmap()
		p := NewPolicy(rules, own)

		got := p.Peer(netip.AddrPortFrom(a, port))
		if want := scan(rules, own, a, port); got.Allowed != want {
			t.Fatalf("Peer(%v, %d) = %+v with rules %v, own %v", a, port, got, rules, own)
		}
		if got.Rule == "" {
			t.Fatalf("Peer(%v, %d): no rule", a, port)
		}
		address := p.Address(a)
		if got.Allowed && !address.Allowed {
			t.Fatalf("port %d of %v is open, the address is closed by %q", port, a, address.Rule)
		}
		if address.Allowed && !anyPort(rules, own, a) {
			t.Fatalf("address %v is open by %q, all of its ports are closed by %v", a, address.Rule, rules)
		}
	})
}

// anyPort tries all ports at which the verdict can change.
func anyPort(rules []Rule, own []netip.Addr, a netip.Addr) bool {
	if scan(rules, own, a, 1) || scan(rules, own, a, 65535) {
		return true
	}
	for _, r := range rules {
		for _, port := range []uint16{r.Ports.Min - 1, r.Ports.Min, r.Ports.Max, r.Ports.Max + 1} {
			if port != 0 && scan(rules, own, a, port) {
				return true
			}
		}
	}
	return false
}
