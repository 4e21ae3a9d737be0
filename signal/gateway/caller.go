package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// caller describes the sender of a request, from its connection and the headers of trusted proxies.
type caller struct {
	addr   netip.Addr // invalid if the connection has no IP address
	host   string     // the host that the caller connected to, in lower case, without port and brackets; may be empty
	scheme string     // the scheme that the caller used: http or https; empty if a proxy does not pass it on
	port   string     // the port that the caller connected to; empty if it is the default
	// local is true on a loopback listener that the caller reached by a loopback name, without any sign of a proxy.
	local bool
}

// proxyHeaders are headers that proxies add.
var proxyHeaders = []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Forwarded", "Via"}

// ViaProxy reports whether a proxy has added a header to r.
func ViaProxy(r *http.Request) bool {
	return slices.ContainsFunc(proxyHeaders, func(name string) bool { return len(r.Header[name]) > 0 })
}

func identifyCaller(r *http.Request, l Listener, trusted []netip.Prefix) caller {
	peer := plainAddr(r.RemoteAddr)
	c := caller{addr: peer, host: plainHost(r.Host), port: plainPort(r.Host), scheme: "http"}
	if r.TLS != nil || l.TLS {
		c.scheme = "https"
	}
	if within(peer, trusted) {
		c.addr = forwardedFor(r.Header["X-Forwarded-For"], peer, trusted)
		if host := last(r.Header["X-Forwarded-Host"]); host != "" {
			c.host, c.port = plainHost(host), plainPort(host)
		}
		if r.TLS == nil {
			c.scheme = strings.ToLower(last(r.Header["X-Forwarded-Proto"]))
		}
	}
	c.local = l.Loopback && loopbackHost(c.host) && !ViaProxy(r)
	return c
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forwardedFor walks X-Forwarded-For from the right, beginning with the trusted proxy of the connection. It returns the first address
// that does not belong to a trusted proxy, or the last one before a malformed entry.
func forwardedFor(lines []string, proxy netip.Addr, trusted []netip.Prefix) netip.Addr {
	hop := proxy
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var entry string
			rest, entry, more = cutLast(rest)
			if entry == "" {
				continue
			}
			a := plainAddr(entry)
			if !a.IsValid() {
				return hop
			}
			if hop = a; !within(a, trusted) {
				return a
			}
		}
	}
	return hop
}

// cutLast splits a list at its last comma.
func cutLast(list string) (rest, entry string, more bool) {
	i := strings.LastIndexByte(list, ',')
	if i < 0 {
		return "", strings.TrimSpace(list), false
	}
	return list[:i], strings.TrimSpace(list[i+1:]), true
}

// last returns the right-most entry of a header, which the nearest proxy has added.
func last(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	_, entry, _ := cutLast(lines[len(lines)-1])
	return entry
}

// plainAddr parses an address with or without port and brackets. It removes the zone, and returns an IPv4-mapped address as IPv4. For a
// malformed address it returns the zero Addr.
func plainAddr(s string) netip.Addr {
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}
		}
		a = ap.Addr()
	}
	return a.Unmap().WithZone("")
}

// plainHost returns the host of a Host header in lower case, without port, brackets and final dot. It returns "" if the host contains
// characters that a host name cannot have.
func plainHost(s string) string {
	if h, _, err := net.SplitHostPort(s); err == nil {
		s = h
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	if len(s) > 253 {
		return ""
	}
	if strings.ContainsFunc(s, notInHost) {
		return ""
	}
	return s
}

// plainPort returns the port of a Host header, or "" if there is none or it is not a number.
func plainPort(s string) string {
	_, port, err := net.SplitHostPort(s)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		return ""
	}
	return port
}

// base returns the origin that the caller connected to, such as https://turn.example.org, or "" if it is not known.
func (c caller) base() string {
	scheme := c.scheme
	if scheme == "" && c.local {
		scheme = "http"
	}
	if c.host == "" || scheme != "http" && scheme != "https" {
		return ""
	}
	host := c.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if c.port != "" {
		host += ":" + c.port
	}
	return scheme + "://" + host
}

func notInHost(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune(".-_:", r)
}

func loopbackHost(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
