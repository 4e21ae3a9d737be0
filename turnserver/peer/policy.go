// Package peer decides which addresses TURN clients may exchange packets with. Without it, anybody with a credential
// could reach the loopback interface, the local network, the cloud's metadata service and the server's own ports
// through the relay (RFC 8656 sections 9.2 and 21.4). The package does no I/O.
//
// # Order
//
// The first of these steps that applies to an address decides:
//
//  1. Own addresses of this host (interfaces, external, listeners): denied. Before the server asks, it exempts its live
//     relayed addresses, each with its port. No rule can allow an own address. So the caller leaves loopback addresses
//     out of the list; the table below denies them unless a rule allows them.
//  2. The operator's rules, most specific first. A rule with a longer prefix comes first; then a rule with ports comes
//     before one without; then a deny rule comes before an allow rule. The width of a port range does not matter.
//  3. The special-purpose table (table.go): denied.
//  4. Everything else: allowed.
//
// # IPv4 inside IPv6
//
// If an IPv6 address contains an IPv4 address, both must be allowed. So a rule that allows 64:ff9b::/96 does not allow
// 64:ff9b::127.0.0.1, and a rule that denies 198.51.100.0/24 also denies 64:ff9b::198.51.100.1. Such addresses are
// IPv4-mapped, IPv4-compatible and IPv4-translated addresses, NAT64, 6to4 and Teredo (its client address, not its
// server address). The table denies all of them by default. In the local-use NAT64 prefix 64:ff9b:1::/48 (RFC 8215),
// the last 32 bits count as the IPv4 address, as in its /96 prefixes. Addresses in the other layouts of RFC 6052
// section 2.2 are not decoded, so a rule that allows such an address allows the IPv4 address inside it.
//
// A deny rule for an IPv4-mapped prefix also denies the IPv4 addresses themselves. An allow rule does not allow them.
// On a dual-stack socket the kernel reports IPv4 addresses as IPv4-mapped; the caller must unmap them first.
//
// # Ports
//
// A permission is for an IP address; a channel and a packet also have a port. So Peer applies rules with ports, and
// Address denies an address only if every port is denied. Port 0 is always denied, because no peer can use it.
package peer

import (
	"net/netip"
	"slices"
)

// Verdict is the decision about a peer and the rule that made it. Rule is the String of a Rule, "special-purpose: "
// with a name and a prefix, "own address", "default", "port 0" or "invalid address". A policy has few of them, so Rule
// can be the label of a metric.
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

// Policy decides which peers are allowed. It is immutable and safe for concurrent use.
type Policy struct {
	v4, v6 list
	// ports holds port 1, the first port of each range in the rules, and the port after each range. From one of these
	// to the next, no verdict depends on the port.
	ports []uint16
}

// NewPolicy compiles rules and the addresses of this host. It keeps neither slice. Rules should pass Validate. Of those
// that do not, NewPolicy ignores allow rules and rules with an invalid prefix; a deny rule with an invalid port range
// denies every port.
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

// Peer decides about a packet from or to a, and about a channel to a. It ignores the zone of a. It does not allocate
// memory.
func (p *Policy) Peer(a netip.AddrPort) Verdict {
	switch {
	case !a.IsValid():
		return denyInvalid
	case a.Port() == 0:
		return denyPort0
	}
	return p.judge(a.Addr().WithZone(""), a.Port())
}

// Address decides about a permission for a. It denies the permission only if Peer denies every port of a.
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

// entry is a compiled rule, own address or row of the table.
type entry struct {
	prefix  netip.Prefix
	ports   PortRange
	verdict Verdict
}

// list holds the entries of one address family in order of precedence. find looks only at entries that can match the
// first byte of an address; most addresses have few of those or none.
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
