package doctor

import (
	"errors"
	"fmt"
	"net/netip"

	"icebox/config"
	"icebox/turnserver/wire"
)

// Target is one transport of the daemon.
type Target struct {
	Transport config.Transport
	Public    netip.AddrPort // the address that clients use
	Local     netip.AddrPort // the host's own address behind it; equal to Public without a NAT
}

func (t Target) String() string { return fmt.Sprintf("%s at %s", t.Transport, t.Public) }

// relays checks that each transport relays a packet. It tries the public address first. If that fails, it tries the
// local address, because some NATs do not send packets of this host back to it, which is not icebox's fault.
func (e *examination) relays() {
	if !e.running {
		e.report("relay", Unknown, "no packet was relayed, because the daemon does not answer", "")
		return
	}
	for _, t := range e.Targets {
		realm, err := e.Relay(e.ctx, t)
		e.compareRealm(realm)
		if err == nil {
			e.report("relay", OK, fmt.Sprintf("TURN over %s relays", t), "")
			continue
		}
		var refused *RefusedError
		if errors.As(err, &refused) {
			e.report("relay", Problem, fmt.Sprintf("TURN over %s: %v", t, err), refused.fix())
			continue
		}
		if t.Local == t.Public {
			e.report("relay", Problem, fmt.Sprintf("TURN over %s: %v", t, err), "compare with icebox check; changes that a reload cannot apply need a restart")
			continue
		}
		inside := t
		inside.Public = t.Local
		if _, again := e.Relay(e.ctx, inside); again != nil {
			e.report("relay", Problem, fmt.Sprintf("TURN over %s: %v; it does not relay at %s either", t, err, t.Local), "compare with icebox check; changes that a reload cannot apply need a restart")
			continue
		}
		e.report("relay", Warning, fmt.Sprintf("TURN over %s relays at %s, but not at its public address from this host: %v", t.Transport, t.Local, err),
			"in many clouds a host cannot reach its own public address: try /trickle-ice/ from another network; if that fails too, open the port in the provider's firewall")
	}
}

// compareRealm reports, once, that the realm of the daemon differs from the configured one.
func (e *examination) compareRealm(realm string) {
	want := e.Config.TURN.Realm
	if realm == "" || realm == want || e.realmReported {
		return
	}
	e.realmReported = true
	e.report("realm", Problem, fmt.Sprintf("the daemon runs with the realm %s, but the configuration has %s", realm, want), "a new realm takes a restart: systemctl restart icebox")
}

// fix returns how to fix the cause of a refusal.
func (e *RefusedError) fix() string {
	switch e.Code {
	case wire.Unauthorized:
		return "the daemon does not accept its own credentials: if it was started with another state_dir, systemctl restart icebox"
	case wire.AllocationQuotaReached:
		return "raise turn.limits.allocations_per_address"
	case wire.InsufficientCapacity:
		return "widen turn.relay_ports or raise turn.limits.allocations"
	case wire.Forbidden:
		return "change the rule of turn.peers that denies this host's addresses"
	}
	return ""
}
