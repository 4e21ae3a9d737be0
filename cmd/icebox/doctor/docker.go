package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// manyPublished is the number of published ports above which the doctor reports a problem, because Docker needs a
// process and a firewall rule for each port.
const manyPublished = 500

// docker checks for the usual mistakes with a relay in a container that has its own network, and for other containers that publish
// ports of the relay range.
func (e *examination) docker() {
	r := e.Config.TURN.RelayPorts
	n := int(r.Max) - int(r.Min) + 1
	if e.inContainer() {
		switch {
		case !e.bridged():
			e.report("docker", OK, "the container uses the host's network", "")
		case len(e.Config.ExternalIP) == 0:
			e.report("docker", Problem, "the container has its own network, and clients are told addresses of that network, which they cannot reach",
				"use network_mode: host, or set ICEBOX_EXTERNAL_IP to the host's public address")
		case n > manyPublished:
			e.report("docker", Problem, fmt.Sprintf("the container has its own network, and Docker would have to publish all %d ports of the relay range %d-%d", n, r.Min, r.Max),
				"use network_mode: host, or a small relay range as in deploy/docker-compose.ports.yml")
		default:
			e.report("docker", OK, "the relay range is small enough to be published", "")
		}
		return
	}
	published := 0
	for _, s := range e.listening() {
		if s.network == "udp" && s.port >= r.Min && s.port <= r.Max && strings.HasPrefix(e.dockerOwner(s.inode), "docker-proxy") {
			published++
		}
	}
	if published > 0 {
		e.report("docker", Problem, fmt.Sprintf("Docker publishes %d ports of the relay range %d-%d for another container", published, r.Min, r.Max), "give that container or icebox another range")
	}
}

// dockerOwner returns the owner of a socket if the host runs docker-proxy. Otherwise it returns unknownOwner without
// searching all processes.
func (e *examination) dockerOwner(inode string) string {
	for _, comm := range e.glob("/proc/[0-9]*/comm") {
		if name, err := e.read(strings.TrimPrefix(comm, e.Root)); err == nil && strings.TrimSpace(name) == "docker-proxy" {
			return e.owner(inode)
		}
	}
	return unknownOwner
}

func (e *examination) inContainer() bool {
	for _, sign := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := e.stat(sign); err == nil {
			return true
		}
	}
	return false
}

// bridged reports whether the container has only private addresses, as in a container network.
func (e *examination) bridged() bool {
	inside := netip.MustParsePrefix("172.16.0.0/12")
	return !slices.ContainsFunc(e.Addresses, public) &&
		slices.ContainsFunc(e.Addresses, func(a netip.Addr) bool { return inside.Contains(a) || a.IsPrivate() })
}
