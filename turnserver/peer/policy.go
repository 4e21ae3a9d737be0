// Package peer decides which addresses TURN clients may exchange packets with.
// A relay that doesn't ask lets anybody with a credential reach the loopback
// interface, the local network and the cloud's metadata service, and tunnels
// back into itself (RFC 8656 sections 9.2 and 21.4). It does no I/O.
//
// # Order
//
// The first of these that knows an address decides:
//
//  1. Own addresses of this host (interfaces, external, listeners): denied. The
//     server exempts the exact relayed addresses that are alive before it asks.
//     Own addresses can't be opened by a rule, so whoever lists them leaves out
//     the loopback addresses, which the table below denies anyway.
//  2. The operator's rules, most specific first: the longer prefix; then rules
//     with ports before those without; on a tie deny before allow. Two ranges of
//     ports tie, whatever their width.
//  3. The special-purpose table (table.go): denied.
//  4. Everything else: allowed.
//
// # IPv4 inside IPv6
//
// An IPv6 address that carries an IPv4 address is judged twice, and both must be
// allowed: a rule that opens 64:ff9b::/96 doesn't open 64:ff9b::127.0.0.1, and a
// rule that denies 198.51.100.0/24 bites on 64:ff9b::198.51.100.1 as well. The
// forms are IPv4-mapped, -compatible and -translated, NAT64, 6to4 and Teredo
// (there the client's address, not the server's). All are in the table too. In
// the local-use NAT64 prefix 64:ff9b:1::/48 (RFC 8215) the last 32 bits are
// taken for the IPv4 address, as in its /96 prefixes; the other layouts of RFC
// 6052 section 2.2 stay closed.
//
// A rule about an IPv4-mapped prefix denies the IPv4 addresses themselves too,
// but doesn't allow them. What the kernel reports as IPv4-mapped on a dual-stack
// socket is plain IPv4: unmap it first.
//
// # Ports
//
// A permission is per IP address, a channel and a packet have a port. So Peer
// applies rules with ports and Address refuses an address that is denied on every port.
// Port 0 is nobody's and always denied.
package peer

import (
	"net/netip"
	"slices"
)

// A Verdict is the answer about a peer and the rule it follows from. Rule is one
// of a small fixed set for each policy, fit for a metric's label: "own address",
// a Rule's String, "special-purpose: " with name and prefix, "default", "port 0"
// or "invalid address".
type Verdict struct {
	Allowed bool
	Rule    string
}

var (
	allowByDefault = Verdict{Allowed: true, Rule: "default"}
	denyOwn        = Verdict{Rule: "own address"}
	denyPort0      = Verdict{Rule: "port 0"}
	denyInvalid    = Verdict{Rule: "invalid address"}
)

// Policy judges peers. It is immutable and safe for concurrent use.
type Policy struct {
	v4, v6 list
	// ports holds one port of each interval in which no verdict depends on the
	// port: 1, and where a range of the rules begins or has just ended.
	ports []uint16
}

// NewPolicy compiles rules and the addresses of this host; it keeps neither.
// Rules should pass Validate: of those that don't, an allow is left out and a
// deny with a malformed range of ports denies every port.
func NewPolicy(rules []Rule, own []netip.Addr) *Policy {
	var entries []entry
	for _, a := range own {
		if a = a.Unmap().WithZone(""); a.IsValid() {
			entries = append(entries, entry{prefix: netip.PrefixFrom(a, a.BitLen()), verdict: denyOwn})
		}
	}
	ports := []uint16{1}
	for _, r := range sorted(rules) {
		entries = append(entries, r.entry())
		if !r.Ports.every() {
			ports = append(ports, max(r.Ports.Min, 1))
			if r.Ports.Max < 65535 {
				ports = append(ports, r.Ports.Max+1)
			}
		}
	}
	entries = append(entries, specialPurpose...)

	slices.Sort(ports)
	p := &Policy{ports: slices.Compact(ports)}
	for _, e := range entries {
		if e.prefix.Addr().Is4() {
			p.v4.add(e)
		} else {
			p.v6.add(e)
		}
	}
	return p
}

// Peer judges one packet from or to a, or a channel to it. A zone is ignored. It
// allocates nothing.
func (p *Policy) Peer(a netip.AddrPort) Verdict {
	switch {
	case !a.IsValid():
		return denyInvalid
	case a.Port() == 0:
		return denyPort0
	}
	return p.judge(a.Addr().WithZone(""), a.Port())
}

// Address judges a permission for a: it is denied only if no port of a could be
// allowed.
func (p *Policy) Address(a netip.Addr) Verdict {
	first := p.Peer(netip.AddrPortFrom(a, p.ports[0]))
	for _, port := range p.ports[1:] {
		if first.Allowed {
			break
		}
		if v := p.Peer(netip.AddrPortFrom(a, port)); v.Allowed {
			return v
		}
	}
	return first
}

func (p *Policy) judge(a netip.Addr, port uint16) Verdict {
	if a.Is4() {
		b := a.As4()
		return p.v4.find(b[0], a, port)
	}
	b := a.As16()
	v := p.v6.find(b[0], a, port)
	if !v.Allowed {
		return v
	}
	if inner, ok := embedded(b); ok {
		b := inner.As4()
		if iv := p.v4.find(b[0], inner, port); !iv.Allowed {
			return iv
		}
	}
	return v
}

// An entry is one step of the way to a verdict.
type entry struct {
	prefix  netip.Prefix
	ports   PortRange
	verdict Verdict
}

// A list holds the entries of one address family in the order in which they are
// asked. Most addresses share their first byte with few entries or none, and
// only those are looked at.
type list struct {
	entries []entry
	byFirst [256][]uint32 // first byte of an address to indices of entries
}

func (l *list) add(e entry) {
	l.entries = append(l.entries, e)
	a := e.prefix.Addr().AsSlice()
	bits := min(e.prefix.Bits(), 8)
	from := int(a[0]) &^ (1<<(8-bits) - 1)
	for b := from; b < from+1<<(8-bits); b++ {
		l.byFirst[b] = append(l.byFirst[b], uint32(len(l.entries)-1))
	}
}

func (l *list) find(first byte, a netip.Addr, port uint16) Verdict {
	for _, i := range l.byFirst[first] {
		if e := &l.entries[i]; e.prefix.Contains(a) && e.ports.Contains(port) {
			return e.verdict
		}
	}
	return allowByDefault
}
