package endpoints

import (
	"net/netip"

	"icebox/cmd/icebox/relayaddr"
	"icebox/cmd/icebox/sockets"
	"icebox/config"
)

// ChooseRelay chooses the addresses to relay from; see package relayaddr.
func (h Host) ChooseRelay(t *config.TURN) (relayaddr.Choice, error) {
	return relayaddr.Choose(h.addrs, relayaddr.Config{Only: t.RelayAddresses, Named: namedAddrs(t.Listen, h.Pairs)})
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
