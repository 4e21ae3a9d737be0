package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"icebox/turnserver/peer"
)

// special denies addresses that are not globally routable.
var special = peer.NewPolicy(nil, nil)

func public(a netip.Addr) bool { return special.Address(a).Allowed }

func join(addrs []netip.Addr) string {
	text := make([]string, len(addrs))
	for i, a := range addrs {
		text[i] = a.String()
	}
	return strings.Join(text, ", ")
}

// addresses compares the addresses that the daemon tells clients with those of the host.
func (e *examination) addresses() {
	outside := slices.DeleteFunc(slices.Clone(e.Addresses), netip.Addr.IsLoopback)
	bad := false
	for i, x := range e.Config.ExternalIP {
		if x.Private.IsValid() && !slices.Contains(e.Addresses, x.Private) {
			bad = true
			e.report("external_ip", Problem, fmt.Sprintf("external_ip[%d]: %s is not an address of this host, which has %s", i, x.Private, join(outside)),
				"set private to the address of the interface behind the NAT")
		}
		if !public(x.Public) {
			bad = true
			e.report("external_ip", Problem, fmt.Sprintf("external_ip[%d]: %s is not a public address, so clients on the Internet cannot reach it", i, x.Public),
				"set public to this host's public address")
		}
		if slices.Contains(e.Addresses, x.Public) && x.Private.IsValid() && x.Private != x.Public {
			bad = true
			e.report("external_ip", Warning, fmt.Sprintf("external_ip[%d]: the host itself has %s, so there is no NAT in front of it", i, x.Public), "remove the pair")
		}
	}
	switch {
	case bad:
	case len(e.Config.ExternalIP) == 0 && !slices.ContainsFunc(outside, public):
		e.report("external_ip", Problem, fmt.Sprintf("the host has only private addresses (%s), as behind a 1:1 NAT, and clients are told those", join(outside)),
			"set external_ip: [{public: ADDRESS}] to this host's public address")
	default:
		e.report("external_ip", OK, "clients are told a public address", "")
	}
}

// relaysFrom reports the addresses that clients get as relayed addresses.
func (e *examination) relaysFrom() {
	switch r := e.Relays; {
	case len(e.Config.TURN.Listen) == 0:
	case r.Err != nil:
		e.report("relay_addresses", Problem, r.Err.Error(), "set turn.relay_addresses to addresses of this host, or remove it")
	case r.LastResort != "":
		e.report("relay_addresses", Warning, r.LastResort, r.Fix)
	default:
		e.report("relay_addresses", OK, "the relay uses "+r.Addresses, "")
	}
}

// names checks whether public_host resolves to this host.
func (e *examination) names() {
	host := e.Config.PublicHost
	switch {
	case host == "":
		e.report("public_host", Warning, "public_host is not set, so clients are told the name by which they reached this host, and the doctor cannot check it",
			"set public_host to the DNS name of this host")
		return
	case host.Addr().IsValid():
		return
	}
	found, err := e.Lookup(e.ctx, string(host))
	if err != nil {
		e.report("public_host", Problem, fmt.Sprintf("%s has no address: %v", host, err), "add an A record (and AAAA for IPv6) for it at your DNS provider")
		return
	}
	here := slices.Clone(e.Addresses)
	for _, x := range e.Config.ExternalIP {
		here = append(here, x.Public)
	}
	var away []netip.Addr
	for _, a := range found {
		if a = a.Unmap(); !slices.Contains(here, a) {
			away = append(away, a)
		}
	}
	if len(away) > 0 {
		e.report("public_host", Problem, fmt.Sprintf("%s resolves to %s, which is not this host (%s); proxies such as a CDN do not carry TURN", host, join(away), join(here)),
			"change the DNS record to this host, or set external_ip if that address is this host's public one")
		return
	}
	e.report("public_host", OK, fmt.Sprintf("%s resolves to this host", host), "")
}

// fewPorts is the number of relay ports below which the doctor warns that there is room for only a few calls.
const fewPorts = 200

func (e *examination) relayRange() {
	r := e.Config.TURN.RelayPorts
	n := int(r.Max) - int(r.Min) + 1
	for _, l := range e.Config.TURN.Listen {
		if l.Address.Port >= r.Min && l.Address.Port <= r.Max {
			e.report("relay_ports", Warning, fmt.Sprintf("turn.listen has port %d, which is in the relay range %d-%d", l.Address.Port, r.Min, r.Max), "move the port out of the relay range")
		}
	}
	if n < fewPorts {
		e.report("relay_ports", Warning, fmt.Sprintf("the relay range %d-%d has %d ports; a call takes one or two, and when none is left, calls are refused with error 508", r.Min, r.Max, n),
			"widen turn.relay_ports, and the firewall with it")
		return
	}
	e.report("relay_ports", OK, fmt.Sprintf("the relay range has %d ports", n), "")
}

// realm checks the realm. A user whose password is stored as a key can authenticate only in the realm of that key.
func (e *examination) realm() {
	keys := 0
	for _, u := range e.Config.TURN.Users {
		if u.Key.Bytes() != nil {
			keys++
		}
	}
	realm := e.Config.TURN.Realm
	switch {
	case keys > 0 && realm == "icebox":
		e.report("realm", Warning, fmt.Sprintf("%d of turn.users have a key, which is valid in one realm only, but turn.realm is the default", keys),
			"set turn.realm to the realm that the keys were made for, such as coturn's")
	case strings.ContainsAny(realm, " \"\\") || strings.TrimSpace(realm) != realm:
		e.report("realm", Warning, fmt.Sprintf("turn.realm %q has characters that some clients handle wrongly", realm), "use the DNS name of the host or the site")
	default:
		e.report("realm", OK, "the realm is "+realm, "")
	}
}
