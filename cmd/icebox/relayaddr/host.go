package relayaddr

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// ThisHost returns the addresses of this host's interfaces, as the kernel knows them
// now. Addresses in order come first and in that order. sources are the addresses that
// the kernel sends from when it sends to the Internet.
func ThisHost(order, sources []netip.Addr) ([]Address, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var all []interfaceAddr
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list the addresses of %s: %w", i.Name, err)
		}
		for _, a := range addrs {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				all = append(all, interfaceAddr{i.Index, prefix.Addr().Unmap()})
			}
		}
	}
	return addresses(all, defaultRoutes(), order, sources), nil
}

// interfaceAddr is an address and the index of its interface.
type interfaceAddr struct {
	index int
	addr  netip.Addr
}

// route is a default route of one family out of an interface.
type route struct {
	index int // of the interface
	is4   bool
}

// addresses merges the information from the kernel; see [ThisHost].
func addresses(all []interfaceAddr, defaults []route, order, sources []netip.Addr) []Address {
	for _, a := range all {
		if slices.Contains(sources, a.addr) {
			defaults = append(defaults, route{a.index, a.addr.Is4()})
		}
	}
	var out []Address
	for _, a := range all {
		routed := slices.Contains(defaults, route{a.index, a.addr.Is4()})
		if i := slices.IndexFunc(out, func(b Address) bool { return b.Addr == a.addr }); i >= 0 {
			out[i].Routed = out[i].Routed || routed // two interfaces have it
			continue
		}
		out = append(out, Address{a.addr, routed})
	}
	position := func(a Address) int {
		if i := slices.Index(order, a.Addr); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(out, func(a, b Address) int { return position(a) - position(b) })
	return out
}
