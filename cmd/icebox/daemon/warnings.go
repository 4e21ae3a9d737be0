package daemon

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"icebox/config"
	"icebox/turnserver/peer"
)

// review finds out anew what an operator should mend, and logs what is new.
func (d *Daemon) review() {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := append(slices.Clone(d.skipped), d.findings(d.cfg())...)
	for _, text := range all {
		if !slices.Contains(d.warnings, text) {
			d.log.Warn(text)
		}
	}
	if d.refused != nil { // which the log has already
		first, _, _ := strings.Cut(d.refused.Error(), "\n")
		all = append(all, "the last reload was refused, and what was in force before it still is: "+first)
	}
	d.warnings = all
}

// findings are what an operator should know about a configuration that works,
// each with the key that mends it. mu is held.
func (d *Daemon) findings(cfg *config.Config) []string {
	all := slices.Clone(cfg.Warnings())
	var addrs []netip.Addr
	for i := range cfg.TURN.Listen {
		for _, a := range d.turnGroup(i).Addrs() {
			addrs = append(addrs, d.host.Advertised(a))
		}
	}
	if text := reach(addrs); text != "" {
		all = append(all, text)
	}
	if text := d.relaysFrom.Warning(); text != "" && len(cfg.TURN.Listen) > 0 {
		all = append(all, text)
	}
	all = append(all, exposure(cfg)...)
	for i, seen := range d.proxied {
		if seen && cfg.Signal.Access == config.Open {
			all = append(all, fmt.Sprintf("a proxy brings clients to http.listen[%d], so anyone may sign in and relay at your cost: set signal.access: key", i))
		}
	}
	return all
}

// reach says who can't reach a relay with these addresses, "" when everybody
// can.
func reach(addrs []netip.Addr) string {
	special := peer.NewPolicy(nil, nil) // denies what is not for everybody to route
	public := func(a netip.Addr) bool { return special.Address(a).Allowed }
	if len(addrs) == 0 || slices.ContainsFunc(addrs, public) {
		return ""
	}
	var outside []string
	for _, a := range addrs {
		if !a.IsLoopback() {
			outside = append(outside, a.String())
		}
	}
	if len(outside) == 0 {
		return "STUN and TURN listen on loopback alone, so only programs on this host reach them: set turn.listen"
	}
	return fmt.Sprintf("the only addresses of STUN and TURN are private (%s), so clients outside this network cannot reach them: "+
		"set external_ip to the address the world sees", strings.Join(outside, ", "))
}

// exposure says where anybody may sign in, and so relay.
func exposure(cfg *config.Config) []string {
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
		all = append(all, "if a proxy brings clients of "+string(cfg.PublicHost)+" here, anyone may sign in and relay at your cost: set signal.access: key")
	}
	return all
}
