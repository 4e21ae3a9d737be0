package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// manyPublished is from where on publishing a relay range is a trap: Docker takes a
// process and a firewall rule for each port.
const manyPublished = 500

// docker looks for the traps of a relay in a container with a network of its own, and
// of other containers that publish the relay's ports.
func (e *examination) docker() {
	r := e.Config.TURN.RelayPorts
	n := int(r.Max) - int(r.Min) + 1
	if e.inContainer() {
		switch {
		case !e.bridged():
			e.say("docker", OK, "the container is on the host's network", "")
		case len(e.Config.ExternalIP) == 0:
			e.say("docker", Problem, "the container has a network of its own, and clients are told addresses of it, which nobody outside can reach",
				"network_mode: host, or set ICEBOX_EXTERNAL_IP to the host's public address")
		case n > manyPublished:
			e.say("docker", Problem, fmt.Sprintf("the container has a network of its own, and Docker would have to publish all %d ports of the relay range %d-%d", n, r.Min, r.Max),
				"network_mode: host, or a small range: deploy/docker-compose.ports.yml")
		default:
			e.say("docker", OK, "the relay range is small enough to be published", "")
		}
		return
	}
	held := 0
	for _, s := range e.listening() {
		if s.network == "udp" && s.port >= r.Min && s.port <= r.Max && strings.HasPrefix(e.ownerOnce(s.inode), "docker-proxy") {
			held++
		}
	}
	if held > 0 {
		e.say("docker", Problem, fmt.Sprintf("Docker publishes %d ports of the relay range %d-%d for another container", held, r.Min, r.Max), "give one of the two another range")
	}
}

// ownerOnce is owner where the host runs a docker-proxy at all: looking through all
// processes for each socket takes its time.
func (e *examination) ownerOnce(inode string) string {
	for _, comm := range e.glob("/proc/[0-9]*/comm") {
		if name, err := e.read(strings.TrimPrefix(comm, e.Root)); err == nil && strings.TrimSpace(name) == "docker-proxy" {
			return e.owner(inode)
		}
	}
	return nobody
}

func (e *examination) inContainer() bool {
	for _, sign := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := e.stat(sign); err == nil {
			return true
		}
	}
	return false
}

// bridged reports whether the only addresses are those that container networks
// give, which are private.
func (e *examination) bridged() bool {
	inside := netip.MustParsePrefix("172.16.0.0/12")
	return !slices.ContainsFunc(e.Addresses, public) &&
		slices.ContainsFunc(e.Addresses, func(a netip.Addr) bool { return inside.Contains(a) || a.IsPrivate() })
}
