package endpoints

import (
	"net/netip"
	"slices"

	"icebox/cmd/icebox/relayaddr"
	"icebox/cmd/icebox/sockets"
	"icebox/config"
)

// Host has the addresses of this host, together with the 1:1 NATs of the configuration.
type Host struct {
	Local []netip.Addr   // its addresses, the best one first
	Pairs []sockets.Pair // external_ip, with the private address in each pair
	addrs []relayaddr.Address
}

// ThisHost asks the kernel for the addresses of this host. It returns an error if external_ip does not fit them.
func ThisHost(cfg *config.Config) (Host, error) {
	host, err := sockets.ThisHost()
	if err != nil {
		return Host{}, err
	}
	var pairs []sockets.Pair
	for _, e := range cfg.ExternalIP {
		pairs = append(pairs, sockets.Pair{Public: e.Public, Private: e.Private})
	}
	pairs, err = host.Complete(pairs)
	if err != nil {
		return Host{}, err
	}
	addrs, err := relayaddr.ThisHost(host.Local, host.Routed)
	if err != nil {
		return Host{}, err
	}
	return Host{host.Local, pairs, addrs}, nil
}

// Addrs returns all addresses of this host: its local ones, and the public ones of a 1:1 NAT.
func (h Host) Addrs() []netip.Addr {
	all := slices.Clone(h.Local)
	for _, p := range h.Pairs {
		all = append(all, p.Public)
	}
	return all
}

// Advertised returns the address that the daemon tells clients instead of local.
func (h Host) Advertised(local netip.Addr) netip.Addr { return sockets.Advertised(h.Pairs, local) }

// OfFamily returns the best local address of the family of wildcard, or of any family if wildcard is the zero Addr. If
// the host has no such address, it returns wildcard.
func (h Host) OfFamily(wildcard netip.Addr) netip.Addr {
	for _, a := range h.Local {
		if !wildcard.IsValid() || a.Is4() == wildcard.Is4() {
			return a
		}
	}
	return wildcard
}

// fallback returns the address to tell a client that used no valid host, or the zero Addr.
func (h Host) fallback() netip.Addr {
	if len(h.Local) == 0 {
		return netip.Addr{}
	}
	return h.Advertised(h.Local[0])
}

// CertificateNames returns the names and addresses that a self-signed certificate is valid for.
func (h Host) CertificateNames(cfg *config.Config) []string {
	names := []string{"localhost"}
	if cfg.PublicHost != "" {
		names = append(names, string(cfg.PublicHost))
	}
	for _, l := range cfg.TURN.Listen {
		if l.Public.Host != "" {
			names = append(names, string(l.Public.Host))
		}
	}
	for _, a := range h.Addrs() {
		names = append(names, a.String())
	}
	return names
}

// Ports returns the ports that turn.listen[i] and http.listen[i] are served on. They differ from the configured ones where
// the configuration has port 0, because the kernel then chooses one.
type Ports struct{ TURN, HTTP func(i int) uint16 }

// ConfiguredPorts returns the ports of the configuration.
func ConfiguredPorts(cfg *config.Config) Ports {
	return Ports{
		TURN: func(i int) uint16 { return cfg.TURN.Listen[i].Address.Port },
		HTTP: func(i int) uint16 { return cfg.HTTP.Listen[i].Address.Port },
	}
}

// Catalogue returns the services that clients can reach.
func (h Host) Catalogue(cfg *config.Config, ports Ports) *Catalogue {
	c := &Catalogue{publicHost: cfg.PublicHost, pairs: h.Pairs, fallback: h.fallback()}
	for i, l := range cfg.TURN.Listen {
		for _, t := range l.Transports {
			c.services = append(c.services, service{t, l.Address.Addr, ports.TURN(i), l.Public})
		}
	}
	for i, l := range cfg.HTTP.Listen {
		if l.STUN {
			c.stunOnly = append(c.stunOnly, service{transport: config.UDP, addr: l.Address.Addr, port: ports.HTTP(i)})
		}
	}
	all := c.all()
	if len(all) > 0 && !slices.ContainsFunc(all, func(s service) bool { return !s.addr.IsLoopback() }) {
		c.fallback = all[0].addr
	}
	return c
}
