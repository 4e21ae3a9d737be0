package web

import (
	"net/http"
	"net/netip"
	"regexp"
	"strings"
)

// policy is the Content-Security-Policy, up to the WebSocket sources of connect-src, which depend on the host. Media come as
// MediaStream objects; blob: is there for browsers that treat these as URLs. No page has an inline script, an inline style, a
// data: URL or a frame.
var policy = strings.Join([]string{
	"default-src 'none'",
	"script-src 'self'",
	"style-src 'self'",
	"img-src 'self'",
	"media-src 'self' blob:",
	"base-uri 'none'",
	"form-action 'self'",
	"frame-ancestors 'none'",
	"require-trusted-types-for 'script'",
	"trusted-types 'none'",
	"connect-src 'self'",
}, "; ")

// permissions grants this origin the features that a call needs, and denies every origin the features that no page uses.
const permissions = "camera=(self), microphone=(self), autoplay=(self), " +
	"display-capture=(self), geolocation=(), payment=(), usb=(), serial=(), midi=()"

// setSecurityHeaders sets the headers that all responses have in common, error responses included.
func setSecurityHeaders(h http.Header, host string) {
	h.Set("Content-Security-Policy", policy+webSocketSources(host))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", permissions)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// setPublicHeaders lets pages of every origin import a file. The gateway decides which origins may connect.
func setPublicHeaders(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

// webSocketSources lists the WebSocket origins of host for connect-src, with a space before each. In CSP level 3 'self' covers
// them, but not in Safari before 15.4. It lists both schemes, because with a proxy in front only the proxy may know which one
// the browser uses. It returns "" for a host that is neither a plain name nor an address, because net/http accepts semicolons
// in a Host header, and they would add directives.
func webSocketSources(host string) string {
	if !plainHost(host) {
		return ""
	}
	return " ws://" + host + " wss://" + host
}

var dnsHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,253}[A-Za-z0-9])?(:[0-9]{1,5})?$`)

// plainHost reports whether host, as in a Host header, is a DNS name or an IP address, with or without a port.
func plainHost(host string) bool {
	if dnsHost.MatchString(host) {
		return true
	}
	if _, err := netip.ParseAddrPort(host); err == nil {
		return !strings.Contains(host, "%")
	}
	inner, bracketed := strings.CutPrefix(host, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !bracketed || !closed {
		return false
	}
	addr, err := netip.ParseAddr(inner)
	return err == nil && addr.Is6() && addr.Zone() == ""
}
