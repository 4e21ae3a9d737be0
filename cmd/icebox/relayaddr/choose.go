package relayaddr

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Address is an address of an interface of the host.
type Address struct {
	netip.Addr
	// Routed reports whether the interface has a default route of the address's family.
	Routed bool
}

// Config has the operator's settings.
type Config struct {
	Only  []netip.Addr // turn.relay_addresses
	Named []netip.Addr // addresses that other settings name; those that the host lacks are ignored
}

// Basis is the reason why addresses were chosen.
type Basis int

// The steps of [Choose].
const (
	Configured Basis = iota // turn.relay_addresses lists them
	Usable                  // they have a default route, or other settings name them
	Unrouted                // last resort: no address has a default route
	LinkLocal               // last resort: there are only link-local addresses
	Loopback                // last resort: there are only loopback addresses
)

// Choice is the result of [Choose].
type Choice struct {
	Addrs []netip.Addr // in the order of the host's addresses
	Basis Basis
}

// Choose returns the addresses to relay from, by the steps of the package comment.
// An error names the setting at fault. The choice is empty if the host has no address.
func Choose(host []Address, c Config) (Choice, error) {
	if len(c.Only) > 0 {
		return chooseOnly(host, c.Only)
	}
	usable := pick(host, func(a Address) bool { return a.Routed && a.IsGlobalUnicast() || slices.Contains(c.Named, a.Addr) })
	for _, a := range c.Named {
		// Linux gives a host all of 127.0.0.0/8, but an interface lists only 127.0.0.1.
		if a.Is4() && a.IsLoopback() && !slices.Contains(usable, a) {
			usable = append(usable, a)
		}
	}
	for _, choice := range []Choice{
		{usable, Usable},
		{pick(host, func(a Address) bool { return a.IsGlobalUnicast() && !a.IsPrivate() }), Unrouted},
		{pick(host, func(a Address) bool { return a.IsGlobalUnicast() }), Unrouted},
		{pick(host, func(a Address) bool { return a.IsLinkLocalUnicast() }), LinkLocal},
		{pick(host, func(a Address) bool { return a.IsLoopback() }), Loopback},
	} {
		if len(choice.Addrs) > 0 {
			return choice, nil
		}
	}
	return Choice{}, nil
}

// chooseOnly checks the addresses of turn.relay_addresses.
func chooseOnly(host []Address, only []netip.Addr) (Choice, error) {
	for i, a := range only {
		switch {
		case needsZone(a):
			return Choice{}, fmt.Errorf("turn.relay_addresses[%d]: %s is an IPv6 link-local address, and clients cannot be told its zone", i, a)
		case !slices.ContainsFunc(host, func(b Address) bool { return b.Addr == a }):
			return Choice{}, fmt.Errorf("turn.relay_addresses[%d]: %s is not an address of this host", i, a)
		}
	}
	return Choice{only, Configured}, nil
}

// Warning returns a sentence for the operator if the choice is a last resort, and "" otherwise.
func (c Choice) Warning() string {
	if text, fix := c.LastResort(); text != "" {
		return text + ": " + fix
	}
	return ""
}

// LastResort returns why the choice is a last resort and how to change that. Both are "" if it is not.
func (c Choice) LastResort() (text, fix string) {
	const uses = "so TURN relays from %s as a last resort, and "
	switch c.Basis {
	case Unrouted:
		return fmt.Sprintf("no interface has a default route, "+uses+"peers in other networks cannot be reached", join(c.Addrs)),
			"add a default route, or set turn.relay_addresses"
	case LinkLocal:
		return fmt.Sprintf("this host has only link-local addresses, "+uses+"only peers on the same link can be reached", join(c.Addrs)),
			"give the host another address, or set turn.relay_addresses"
	case Loopback:
		return fmt.Sprintf("this host has only loopback addresses, "+uses+"only peers on this host can be reached", join(c.Addrs)),
			"give the host another address, or set turn.relay_addresses"
	}
	return "", ""
}

// Describe returns the chosen addresses and the families that clients cannot get. advertised returns the address that
// the daemon tells clients instead of an address of the host.
func (c Choice) Describe(advertised func(netip.Addr) netip.Addr) string {
	var text []string
	for _, a := range c.Addrs {
		if told := advertised(a); told != a {
			text = append(text, fmt.Sprintf("%s as %s", a, told))
			continue
		}
		text = append(text, a.String())
	}
	note := ""
	switch {
	case !slices.ContainsFunc(c.Addrs, netip.Addr.Is4):
		note = " (IPv6 only: a client that asks for IPv4 gets error 440)"
	case !slices.ContainsFunc(c.Addrs, netip.Addr.Is6):
		note = " (IPv4 only: a client that asks for IPv6 gets error 440)"
	}
	return strings.Join(text, ", ") + note
}

// needsZone reports whether a is ambiguous without a zone.
func needsZone(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() }

// pick returns the addresses of host that fit, without those that need a zone.
func pick(host []Address, fits func(Address) bool) []netip.Addr {
	var out []netip.Addr
	for _, a := range host {
		if !needsZone(a.Addr) && fits(a) {
			out = append(out, a.Addr)
		}
	}
	return out
}

func join(addrs []netip.Addr) string {
	text := make([]string, len(addrs))
	for i, a := range addrs {
		text[i] = a.String()
	}
	return strings.Join(text, ", ")
}
