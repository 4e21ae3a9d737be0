package main

import (
	"net/netip"
	"slices"

	"icebox/cmd/icebox/relayaddr"
	"icebox/cmd/icebox/sockets"
	"icebox/config"
)

// network is what the configuration means on this host.
type network struct {
	local []netip.Addr   // the best first
	pairs []sockets.Pair // complete
	addrs []relayaddr.Address
}

func newNetwork(cfg *config.Config) (network, error) {
	host, err := sockets.ThisHost()
	if err != nil {
		return network{}, err
	}
	var pairs []sockets.Pair
	for _, e := range cfg.ExternalIP {
		pairs = append(pairs, sockets.Pair{Public: e.Public, Private: e.Private})
	}
	pairs, err = host.Complete(pairs)
	if err != nil {
		return network{}, err
	}
	addrs, err := relayaddr.ThisHost(host.Local, host.Routed)
	if err != nil {
		return network{}, err
	}
	return network{host.Local, pairs, addrs}, nil
}

// own are all addresses of this host, as it and as the world sees them.
func (n network) own() []netip.Addr {
	own := slices.Clone(n.local)
	for _, p := range n.pairs {
		own = append(own, p.Public)
	}
	return own
}

// best is the address to tell a client of whom nothing is known.
func (n network) best() netip.Addr {
	if len(n.local) == 0 {
		return netip.Addr{}
	}
	return sockets.Advertised(n.pairs, n.local[0])
}

// names are what a self-signed certificate is for.
func (n network) names(cfg *config.Config) []string {
	names := []string{"localhost"}
	if cfg.PublicHost != "" {
		names = append(names, string(cfg.PublicHost))
	}
	for _, l := range cfg.TURN.Listen {
		if l.Public.Host != "" {
			names = append(names, string(l.Public.Host))
		}
	}
	for _, a := range n.own() {
		names = append(names, a.String())
	}
	return names
}

// catalogue is what clients can reach. The ports are those of the
// configuration until sockets are open.
func (n network) catalogue(cfg *config.Config) *catalogue {
	c := &catalogue{publicHost: cfg.PublicHost, pairs: n.pairs, fallback: n.best()}
	for _, l := range cfg.TURN.Listen {
		c.add(l, l.Address.Port)
	}
	for _, l := range cfg.HTTP.Listen {
		if l.STUN {
			c.stunOnly = append(c.stunOnly, service{transport: config.UDP, addr: l.Address.Addr, port: l.Address.Port})
		}
	}
	all := c.all()
	if len(all) > 0 && !slices.ContainsFunc(all, func(s service) bool { return !s.addr.IsLoopback() }) {
		c.fallback = all[0].addr
	}
	return c
}

func (c *catalogue) add(l config.TURNListen, port uint16) {
	for _, t := range l.Transports {
		c.services = append(c.services, service{t, l.Address.Addr, port, l.Public})
	}
}
