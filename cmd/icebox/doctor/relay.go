package doctor

import (
	"errors"
	"fmt"
	"net/netip"

	"icebox/config"
	"icebox/turnserver/wire"
)

// Target is one transport of the daemon, at an address as clients see it and at the
// host's own one behind it.
type Target struct {
	Transport config.Transport
	Public    netip.AddrPort
	Local     netip.AddrPort
}

func (t Target) String() string { return fmt.Sprintf("%s at %s", t.Transport, t.Public) }

// relays has each transport relay a packet to itself, by the public address and, where
// that fails, by the host's own: a NAT that doesn't hairpin is no fault of icebox's.
func (e *examination) relays() {
	if !e.running {
		e.say("relay", Unknown, "no packet was relayed, since the daemon does not answer", "")
		return
	}
	for _, t := range e.Targets {
		realm, err := e.Relay(e.ctx, t)
		e.other(realm)
		if err == nil {
			e.say("relay", OK, fmt.Sprintf("TURN over %s relays", t), "")
			continue
		}
		var refused *RefusedError
		if errors.As(err, &refused) {
			e.say("relay", Problem, fmt.Sprintf("TURN over %s: %v", t, err), refused.fix())
			continue
		}
		if t.Local == t.Public {
			e.say("relay", Problem, fmt.Sprintf("TURN over %s: %v", t, err), "icebox check shows what is in force; a restart takes over what a reload can't")
			continue
		}
		inside := t
		inside.Public = t.Local
		if _, again := e.Relay(e.ctx, inside); again != nil {
			e.say("relay", Problem, fmt.Sprintf("TURN over %s: %v, and not at %s either", t, err, t.Local), "icebox check shows what is in force; a restart takes over what a reload can't")
			continue
		}
		e.say("relay", Warning, fmt.Sprintf("TURN over %s relays at %s, and not by its public address from here: %v", t.Transport, t.Local, err),
			"many clouds lead no host to its own public address: try /trickle-ice/ from elsewhere; if that fails too, open the port in the provider's firewall")
	}
}

// other says once that the daemon's realm is not the configuration's.
func (e *examination) other(realm string) {
	want := e.Config.TURN.Realm
	if realm == "" || realm == want || e.realmTold {
		return
	}
	e.realmTold = true
	e.say("realm", Problem, fmt.Sprintf("the daemon runs with the realm %s, and the configuration says %s", realm, want), "a new realm takes a restart: systemctl restart icebox")
}

// fix is what a refusal asks for.
func (e *RefusedError) fix() string {
	switch e.Code {
	case wire.Unauthorized:
		return "the daemon does not take its own credentials: was it started with another state_dir? systemctl restart icebox"
	case wire.AllocationQuotaReached:
		return "raise turn.limits.allocations_per_address"
	case wire.InsufficientCapacity:
		return "widen turn.relay_ports or raise turn.limits.allocations"
	case wire.Forbidden:
		return "a rule of turn.peers stands in the way"
	}
	return ""
}
