package daemon

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"icebox/config"
	"icebox/turnserver/peer"
)

// updateWarnings determines all warnings again and logs the new ones.
func (d *Daemon) updateWarnings() {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := append(slices.Clone(d.skippedAddrs), d.findWarnings(d.cfg())...)
	for _, text := range all {
		if !slices.Contains(d.warnings, text) {
			d.log.Warn(text)
		}
	}
	if d.reloadErr != nil { // reload has logged it
		first, _, _ := strings.Cut(d.reloadErr.Error(), "\n")
		all = append(all, "the last reload was refused, so the earlier configuration is still in force: "+first)
	}
	d.warnings = all
}

// findWarnings returns a warning for each thing that an operator should change although the configuration is valid.
// Each warning names the setting. The caller holds mu.
func (d *Daemon) findWarnings(cfg *config.Config) []string {
	all := slices.Clone(cfg.Warnings())
	var addrs []netip.Addr
	for i := range cfg.TURN.Listen {
		for _, a := range d.turnGroup(i).Addrs() {
			addrs = append(addrs, d.host.Advertised(a))
		}
	}
	if text := reachWarning(addrs); text != "" {
		all = append(all, text)
	}
	if text := d.relayChoice.Warning(); text != "" && len(cfg.TURN.Listen) > 0 {
		all = append(all, text)
	}
	if len(cfg.TURN.Listen) > 0 && len(cfg.TURN.RelayAddresses) == 0 {
		var relay []netip.Addr
		for _, a := range d.relayChoice.Addrs {
			relay = append(relay, d.host.Advertised(a))
		}
		all = append(all, unreachableRelays(addrs, relay)...)
	}
	all = append(all, accessWarnings(cfg)...)
	for i, seen := range d.viaProxy {
		if seen && cfg.Signal.Access == config.Open {
			all = append(all, fmt.Sprintf("a proxy forwards clients to http.listen[%d], so anyone may sign in and relay at your cost: set signal.access: key", i))
		}
	}
	return all
}

// isPublic reports whether a is globally routable.
func isPublic(a netip.Addr) bool { return peer.NewPolicy(nil, nil).Address(a).Allowed }

// unreachableRelays returns a warning for each family in which clients reach TURN at a public address but the relay has no public
// address. An example is a host whose default route appears only after icebox has started.
func unreachableRelays(listen, relay []netip.Addr) []string {
	var all []string
	for _, family := range []struct {
		name string
		of   func(netip.Addr) bool
	}{{"IPv4", netip.Addr.Is4}, {"IPv6", netip.Addr.Is6}} {
		public := func(a netip.Addr) bool { return family.of(a) && isPublic(a) }
		i := slices.IndexFunc(listen, public)
		if i < 0 || slices.ContainsFunc(relay, public) {
			continue
		}
		all = append(all, fmt.Sprintf("clients reach TURN at %s, but the relay has no public %s address, because no interface with one had a default "+
			"route when icebox started: restart icebox once there is a route, or set turn.relay_addresses", listen[i], family.name))
	}
	return all
}

// reachWarning returns a warning if clients on the Internet cannot reach a relay with these addresses, or "".
func reachWarning(addrs []netip.Addr) string {
	if len(addrs) == 0 || slices.ContainsFunc(addrs, isPublic) {
		return ""
	}
	var outside []string
	for _, a := range addrs {
		if !a.IsLoopback() {
			outside = append(outside, a.String())
		}
	}
	if len(outside) == 0 {
		return "STUN and TURN listen only on loopback addresses, so only programs on this host can reach them: set turn.listen"
	}
	return fmt.Sprintf("STUN and TURN have only private addresses (%s), which clients outside this network cannot reach: "+
		"set external_ip to this host's public address", strings.Join(outside, ", "))
}

// accessWarnings returns a warning for each listener on which anyone may sign in, and so relay.
func accessWarnings(cfg *config.Config) []string {
	if cfg.Signal.Access != config.Open {
		return nil
	}
	var all []string
	for i, l := range cfg.HTTP.Listen {
		if (!l.Address.Loopback() || l.ProxyProtocol) && !l.Redirect {
			all = append(all, fmt.Sprintf("anyone who reaches http.listen[%d] (%s) may sign in and relay at your cost: set signal.access: key", i, l.Address))
		}
	}
	public := cfg.PublicHost != "" && cfg.PublicHost != "localhost" && !cfg.PublicHost.Addr().IsLoopback()
	if len(all) == 0 && len(cfg.HTTP.Listen) > 0 && public {
		all = append(all, "if a proxy forwards clients of "+string(cfg.PublicHost)+" to this host, anyone may sign in and relay at your cost: set signal.access: key")
	}
	return all
}
