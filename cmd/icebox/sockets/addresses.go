package sockets

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Pair is a public address of a 1:1 NAT and the private address of this host behind it. Private may be the zero Addr, see
// Complete.
type Pair struct{ Public, Private netip.Addr }

// Host has the addresses of this host.
type Host struct {
	// Local are the addresses of its interfaces except link-local ones: first the addresses in Routed, then public, private and
	// loopback addresses.
	Local []netip.Addr
	// Routed are the addresses that the kernel sends from when it sends to the Internet,
	// at most one of each family.
	Routed []netip.Addr
}

// ThisHost asks the kernel for the addresses of this host. It sends no packet.
func ThisHost() (Host, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return Host{}, fmt.Errorf("list interface addresses: %w", err)
	}
	var local []netip.Addr
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			local = append(local, prefix.Addr().Unmap())
		}
	}
	var routed []netip.Addr
	for _, far := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} { // connecting a UDP socket only asks for the route
		c, err := new(net.Dialer).DialContext(context.Background(), "udp", far)
		if err != nil {
			continue
		}
		if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
			routed = append(routed, a.AddrPort().Addr().Unmap())
		}
		_ = c.Close()
	}
	return newHost(local, routed), nil
}

func newHost(local, routed []netip.Addr) Host {
	local = slices.DeleteFunc(slices.Clone(local), func(a netip.Addr) bool {
		return a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified()
	})
	rank := func(a netip.Addr) int {
		switch {
		case a.IsLoopback():
			return 3
		case slices.Contains(routed, a):
			return 0
		case a.IsPrivate():
			return 2
		}
		return 1
	}
	slices.SortStableFunc(local, func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.BitLen(), b.BitLen()))
	})
	return Host{Local: slices.Compact(local), Routed: routed}
}

// Complete fills in the private address of each pair that lacks one: the only address of the host in that family, or, among
// several, the one that the default route uses. Errors name the pair as external_ip[i].
func (h Host) Complete(pairs []Pair) ([]Pair, error) {
	out := slices.Clone(pairs)
	for i := range out {
		p := &out[i]
		if p.Private.IsValid() {
			if !slices.Contains(h.Local, p.Private) {
				return nil, fmt.Errorf("external_ip[%d]: private %s is not an address of this host, which has %s", i, p.Private, join(h.Local))
			}
			continue
		}
		fits := func(a netip.Addr) bool { return a.Is4() == p.Public.Is4() && !a.IsLoopback() }
		candidates := filter(h.Local, fits)
		if routed := filter(h.Routed, fits); len(candidates) > 1 && len(routed) == 1 {
			candidates = routed
		}
		if len(candidates) != 1 {
			return nil, fmt.Errorf("external_ip[%d]: private is missing: which address of this host is behind %s, one of %s?", i, p.Public, join(candidates))
		}
		p.Private = candidates[0]
	}
	return out, nil
}

// Advertised returns the address that the daemon tells clients instead of local.
func Advertised(pairs []Pair, local netip.Addr) netip.Addr {
	for _, p := range pairs {
		if p.Private == local {
			return p.Public
		}
	}
	return local
}

func filter(addrs []netip.Addr, fits func(netip.Addr) bool) []netip.Addr {
	var out []netip.Addr
	for _, a := range addrs {
		if fits(a) {
			out = append(out, a)
		}
	}
	return out
}

func join(addrs []netip.Addr) string {
	if len(addrs) == 0 {
		return "none"
	}
	text := make([]string, len(addrs))
	for i, a := range addrs {
		text[i] = a.String()
	}
	return strings.Join(text, ", ")
}
