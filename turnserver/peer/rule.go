package peer

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// PortRange is an inclusive range of ports. The zero PortRange contains every port.
type PortRange struct{ Min, Max uint16 }

// Contains reports whether port is in the range.
func (r PortRange) Contains(port uint16) bool {
	return r.every() || r.Min <= port && port <= r.Max
}

func (r PortRange) every() bool { return r == PortRange{} }

func (r PortRange) String() string {
	switch {
	case r.every():
		return "every port"
	case r.Min == r.Max:
		return fmt.Sprintf("port %d", r.Min)
	}
	return fmt.Sprintf("ports %d-%d", r.Min, r.Max)
}

// Rule is a rule of the operator. It allows or denies the ports of a prefix. Host bits of Prefix are ignored.
type Rule struct {
	Prefix netip.Prefix
	Ports  PortRange
	Allow  bool
}

// Validate returns an error if the prefix or the port range is invalid.
func (r Rule) Validate() error {
	switch {
	case !r.Prefix.IsValid():
		return errors.New("invalid prefix")
	case r.Ports.Min > r.Ports.Max:
		return fmt.Errorf("%v: first port is greater than the last", r.Ports)
	}
	return nil
}

// String returns for example "allow 10.0.0.0/8" or "deny 198.51.100.0/24 ports
// 1-1023".
func (r Rule) String() string {
	s := "deny "
	if r.Allow {
		s = "allow "
	}
	s += r.Prefix.Masked().String()
	if !r.Ports.every() {
		s += " " + r.Ports.String()
	}
	return s
}

func (r Rule) entry() entry {
	return entry{prefix: r.Prefix.Masked(), ports: r.Ports, verdict: Verdict{Allowed: r.Allow, Rule: r.String()}}
}

// sorted returns the rules in order of precedence. It drops or changes invalid rules as NewPolicy documents. The result
// may mix the two address families.
func sorted(rules []Rule) []Rule {
	var out []Rule
	for _, r := range rules {
		if r.Validate() != nil {
			if r.Allow || !r.Prefix.IsValid() {
				continue
			}
			r.Ports = PortRange{}
		}
		out = append(out, r)
		if a := r.Prefix.Addr(); a.Is4In6() && r.Prefix.Bits() >= 96 && !r.Allow {
			r.Prefix = netip.PrefixFrom(a.Unmap(), r.Prefix.Bits()-96)
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b Rule) int {
		return cmp.Or(
			cmp.Compare(b.Prefix.Bits(), a.Prefix.Bits()),
			trueLast(a.Ports.every(), b.Ports.every()),
			trueLast(a.Allow, b.Allow),
		)
	})
	return out
}

func trueLast(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
