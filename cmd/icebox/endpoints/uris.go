package endpoints

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"icebox/cmd/icebox/sockets"
	"icebox/config"
)

// service is one transport on one port of the daemon.
type service struct {
	transport config.Transport
	addr      netip.Addr // the zero Addr: every address of the host; unspecified: every address of its family
	port      uint16
	public    config.HostPort // by which clients reach it through a proxy or NAT in front of it, if any
}

// Catalogue has the services that clients can reach, and makes the URIs for them.
type Catalogue struct {
	publicHost config.Host
	services   []service
	stunOnly   []service // serve STUN if no TURN port does
	pairs      []sockets.Pair
	fallback   netip.Addr // for clients that used no valid host
}

// kind is a URI scheme over a transport (RFC 7064 and RFC 7065).
type kind struct {
	format    string
	transport config.Transport
}

var (
	stunKind  = kind{"stun:%s:%d", config.UDP}
	turnKinds = []kind{
		{"turn:%s:%d?transport=udp", config.UDP},
		{"turn:%s:%d?transport=tcp", config.TCP},
		{"turns:%s:%d?transport=tcp", config.OverTLS},
	}
	dtlsKind = kind{"turns:%s:%d?transport=udp", config.DTLS} // browsers do not support it
)

// URIs returns the STUN and TURN URIs for a client that reached this daemon at host. It uses host if no public host is configured.
// host may be any text that a client can write into a header. There is at most one URI of each kind, because browsers warn
// about five or more.
func (c *Catalogue) URIs(host string, dtls bool) (stun, turn []string) {
	if uri := c.uri(stunKind, c.all(), host); uri != "" {
		stun = append(stun, uri)
	}
	kinds := turnKinds
	if dtls {
		kinds = append(slices.Clip(kinds), dtlsKind)
	}
	for _, k := range kinds {
		if uri := c.uri(k, c.services, host); uri != "" {
			turn = append(turn, uri)
		}
	}
	return stun, turn
}

func (c *Catalogue) all() []service { return slices.Concat(c.services, c.stunOnly) }

// uri returns the URI of the first service of a kind that the client can reach, or "".
func (c *Catalogue) uri(k kind, services []service, host string) string {
	for _, s := range services {
		if s.transport != k.transport {
			continue
		}
		if s.public.Host != "" {
			return fmt.Sprintf(k.format, Bracketed(s.public.Host), s.public.Port)
		}
		if at := c.hostOf(s, c.HostFor(host)); at != "" {
			return fmt.Sprintf(k.format, Bracketed(at), s.port)
		}
	}
	return ""
}

// HostFor returns the host that the client used, or, if that is not a valid host, one that most clients can reach.
func (c *Catalogue) HostFor(host string) config.Host {
	var h config.Host
	switch err := h.UnmarshalText([]byte(strings.Trim(host, "[]"))); {
	case err == nil && h != "":
		return h
	case c.fallback.IsValid():
		return config.Host(c.fallback.String())
	}
	return "localhost"
}

// hostOf returns the host by which a client that used host reaches s, or "" if it cannot.
func (c *Catalogue) hostOf(s service, host config.Host) config.Host {
	literal := host.Addr()
	switch {
	case c.publicHost != "":
		return c.publicHost
	case !s.addr.IsValid():
		return host
	case s.addr.IsUnspecified():
		if literal.IsValid() && literal.Is4() != s.addr.Is4() {
			return ""
		}
		return host
	case s.addr.IsLoopback():
		if host == "localhost" || literal.IsLoopback() {
			return config.Host(s.addr.String())
		}
		return ""
	case literal.IsValid() || host == "localhost":
		return config.Host(sockets.Advertised(c.pairs, s.addr).String())
	}
	return host
}

// Bracketed returns h in the form for URIs, which has brackets around an IPv6 address.
func Bracketed(h config.Host) string {
	if h.Addr().Is6() {
		return "[" + string(h) + "]"
	}
	return string(h)
}
