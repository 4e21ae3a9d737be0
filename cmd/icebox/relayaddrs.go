package main

import (
	"net/netip"

	"icebox/cmd/icebox/relayaddr"
	"icebox/cmd/icebox/sockets"
	"icebox/config"
	"icebox/turnserver"
)

// chooseRelay chooses the addresses to relay from; see package relayaddr.
func (n network) chooseRelay(t *config.TURN) (relayaddr.Choice, error) {
	return relayaddr.Choose(n.addrs, relayaddr.Config{Only: t.RelayAddresses, Named: namedAddrs(t.Listen, n.pairs)})
}

// namedAddrs returns the addresses of this host that settings other than
// turn.relay_addresses name and that clients reach directly or through a 1:1 NAT.
func namedAddrs(listen []config.TURNListen, pairs []sockets.Pair) []netip.Addr {
	var named []netip.Addr
	for _, p := range pairs {
		named = append(named, p.Private)
	}
	for _, l := range listen {
		inFront := l.ProxyProtocol || l.Public.Host != "" // clients reach another address
		if a := l.Address.Addr; a.IsValid() && !a.IsUnspecified() && !inFront {
			named = append(named, a.Unmap())
		}
	}
	return named
}

// advertised returns the address that clients are told instead of local.
func (n network) advertised(local netip.Addr) netip.Addr { return sockets.Advertised(n.pairs, local) }

// relayAddrs are the addresses of a choice in the relay's terms.
func (n network) relayAddrs(choice relayaddr.Choice) []turnserver.RelayAddr {
	var out []turnserver.RelayAddr
	for _, a := range choice.Addrs {
		out = append(out, turnserver.RelayAddr{Local: a, Advertised: n.advertised(a)})
	}
	return out
}
