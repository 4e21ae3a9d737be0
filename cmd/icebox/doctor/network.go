package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"icebox/turnserver/peer"
)

// special denies what is not for everybody to route.
var special = peer.NewPolicy(nil, nil)

func public(a netip.Addr) bool { return special.Address(a).Allowed }

func join(addrs []netip.Addr) string {
	text := make([]string, len(addrs))
	for i, a := range addrs {
		text[i] = a.String()
	}
	return strings.Join(text, ", ")
}

// addresses compares what clients are told with what the host has.
func (e *examination) addresses() {
	outside := slices.DeleteFunc(slices.Clone(e.Addresses), netip.Addr.IsLoopback)
	bad := false
	for i, x := range e.Config.ExternalIP {
		if x.Private.IsValid() && !slices.Contains(e.Addresses, x.Private) {
			bad = true
			e.say("external_ip", Problem, fmt.Sprintf("external_ip[%d]: %s is not an address of this host, which has %s", i, x.Private, join(outside)),
				"set private to the address of the interface that the NAT leads to")
		}
		if !public(x.Public) {
			bad = true
			e.say("external_ip", Problem, fmt.Sprintf("external_ip[%d]: %s is not a public address, so nobody outside can reach what it names", i, x.Public),
				"set public to the address the world sees")
		}
		if slices.Contains(e.Addresses, x.Public) && x.Private.IsValid() && x.Private != x.Public {
			bad = true
			e.say("external_ip", Warning, fmt.Sprintf("external_ip[%d]: the host itself has %s, so there is no NAT before it", i, x.Public), "remove the pair")
		}
	}
	switch {
	case bad:
	case len(e.Config.ExternalIP) == 0 && !slices.ContainsFunc(outside, public):
		e.say("external_ip", Problem, fmt.Sprintf("the host has only private addresses (%s), as behind a 1:1 NAT, and clients outside are told those", join(outside)),
			"set external_ip: [{public: ADDRESS}] to the address the world sees")
	default:
		e.say("external_ip", OK, "clients are told a public address", "")
	}
}

// relaysFrom reports the addresses that clients get as relayed addresses.
func (e *examination) relaysFrom() {
	switch r := e.Relays; {
	case len(e.Config.TURN.Listen) == 0:
	case r.Err != nil:
		e.say("relay_addresses", Problem, r.Err.Error(), "set turn.relay_addresses to addresses of this host, or remove it")
	case r.LastResort != "":
		e.say("relay_addresses", Warning, r.LastResort, r.Fix)
	default:
		e.say("relay_addresses", OK, "the relay uses "+r.Addresses, "")
	}
}

// names resolves public_host, which has to lead here.
func (e *examination) names() {
	host := e.Config.PublicHost
	switch {
	case host == "":
		e.say("public_host", Warning, "public_host is not set: clients are told the name they signed in by, and tools have none to test",
			"set public_host to the DNS name of this host")
		return
	case host.Addr().IsValid():
		return
	}
	found, err := e.Lookup(e.ctx, string(host))
	if err != nil {
		e.say("public_host", Problem, fmt.Sprintf("%s has no address: %v", host, err), "add an A record (and AAAA with IPv6) for it at your DNS provider")
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
		e.say("public_host", Problem, fmt.Sprintf("%s leads to %s, which is not this host (%s): a proxy such as a CDN does not carry TURN", host, join(away), join(here)),
			"point the DNS record here, or set external_ip if that address is this host's public one")
		return
	}
	e.say("public_host", OK, fmt.Sprintf("%s leads here", host), "")
}

// fewPorts is from where on a relay range is enough for some calls at once.
const fewPorts = 200

func (e *examination) relayRange() {
	r := e.Config.TURN.RelayPorts
	n := int(r.Max) - int(r.Min) + 1
	for _, l := range e.Config.TURN.Listen {
		if l.Address.Port >= r.Min && l.Address.Port <= r.Max {
			e.say("relay_ports", Warning, fmt.Sprintf("turn.listen has port %d, which lies in the relay range %d-%d", l.Address.Port, r.Min, r.Max), "keep the two apart")
		}
	}
	if n < fewPorts {
		e.say("relay_ports", Warning, fmt.Sprintf("the relay range %d-%d has %d ports; a call takes one or two, and further calls are refused with 508", r.Min, r.Max, n),
			"widen turn.relay_ports, and the firewall with it")
		return
	}
	e.say("relay_ports", OK, fmt.Sprintf("the relay range has %d ports", n), "")
}

// realm: users whose password is stored as a key can sign in under one realm only.
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
		e.say("realm", Warning, fmt.Sprintf("%d of turn.users have a key, which is for one realm, and turn.realm is the default", keys),
			"set turn.realm to the realm that the keys were made for, such as that of coturn")
	case strings.ContainsAny(realm, " \"\\") || strings.TrimSpace(realm) != realm:
		e.say("realm", Warning, fmt.Sprintf("turn.realm %q has characters that clients get wrong", realm), "use the DNS name of the host or the site")
	default:
		e.say("realm", OK, "the realm is "+realm, "")
	}
}
