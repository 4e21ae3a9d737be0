package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"icebox/signal"
)

// caller is who sends a request, as far as the connection and believable headers tell.
type caller struct {
	addr   netip.Addr // invalid where the connection has no IP address
	host   string     // by which it reached us: lower case, no port, no brackets; may be empty
	scheme string     // by which it reached us; empty if a proxy doesn't say
	port   string     // likewise, if it was said
	// local: on a loopback listener, by a loopback name, and nothing hints at a proxy in between.
	local bool
}

// addrKey is the address that limits count the caller by.
func (c caller) addrKey() netip.Addr { return signal.AddrKey(c.addr) }

// proxyHeaders are headers that proxies add.
var proxyHeaders = []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Forwarded", "Via"}

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
	c.local = l.Loopback && loopbackHost(c.host)
	for _, h := range proxyHeaders {
		c.local = c.local && len(r.Header[h]) == 0
	}
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

// forwardedFor walks X-Forwarded-For from the right, beginning at a trusted proxy, to the first address that
// is no trusted proxy's.
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

// last returns the right-most entry of a header, which is the nearest proxy's.
func last(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	_, entry, _ := cutLast(lines[len(lines)-1])
	return entry
}

// plainAddr reads an address with or without port and brackets. It returns an IPv4 address for a mapped one,
// no zone, and the invalid address for what is none.
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

// plainHost returns the host of a Host header in lower case and without port, brackets and final dot, or ""
// where it holds what no host name holds.
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

// plainPort returns the port of a Host header, if it says a number.
func plainPort(s string) string {
	_, port, err := net.SplitHostPort(s)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		return ""
	}
	return port
}

// base is the origin by which the caller reached us, or "".
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
