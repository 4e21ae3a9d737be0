package endpoints

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"icebox/cmd/icebox/sockets"
	"icebox/config"
)

// service is one transport on one port that the daemon serves. addr is zero for
// every address of the host and unspecified for every one of a family; public
// is how clients reach it if something else is in front of it.
type service struct {
	transport config.Transport
	addr      netip.Addr
	port      uint16
	public    config.HostPort
}

// Catalogue says by which URIs a client reaches the services.
type Catalogue struct {
	publicHost config.Host
	services   []service
	stunOnly   []service // answer STUN when no TURN port does
	pairs      []sockets.Pair
	fallback   netip.Addr // for clients of whom no host is known
}

// kind is a URI scheme over a transport, RFC 7064 and RFC 7065.
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
	dtlsKind = kind{"turns:%s:%d?transport=udp", config.DTLS} // browsers do not speak it
)

// URIs are those for a client that reached us at host, which may be anything
// a client can write into a header, and is used when no public host is
// configured. There is at most one URI of each kind, since browsers warn at
// five.
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

// uri is that of the first service that the client can reach, or "".
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

// HostFor is the host that the client used, as far as it is one.
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

// hostOf is the host by which a client that used host reaches s, "" if it
// can't.
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

func Bracketed(h config.Host) string {
	if h.Addr().Is6() {
		return "[" + string(h) + "]"
	}
	return string(h)
}
