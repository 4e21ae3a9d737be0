package config

import (
	"fmt"
	"slices"
)

// Sharing is one TCP port that an HTTP and a TURN listener share: both have the
// same address and speak TLS there.
type Sharing struct {
	HTTP, TURN int // indexes in http.listen and turn.listen
	Address    Endpoint
}

func (s Sharing) String() string {
	return fmt.Sprintf("http.listen[%d] and turn.listen[%d] share tcp %s: each connection goes to the web or to TURN, depending on the protocol that the client negotiates or on its first byte",
		s.HTTP, s.TURN, s.Address)
}

// Shared returns the ports that the web and TURN share.
func (c *Config) Shared() []Sharing {
	var all []Sharing
	for i, h := range c.HTTP.Listen {
		for j, t := range c.TURN.Listen {
			if h.TLS && h.Address == t.Address && h.Address.Port != 0 && slices.Contains(t.Transports, OverTLS) {
				all = append(all, Sharing{i, j, h.Address})
			}
		}
	}
	return all
}

// shares reports whether two listeners, given by their paths, share one TCP
// socket.
func (c *checker) shares(one, other string) bool {
	return slices.ContainsFunc(c.Shared(), func(s Sharing) bool {
		h, t := fmt.Sprintf("http.listen[%d]", s.HTTP), fmt.Sprintf("turn.listen[%d]", s.TURN)
		return one == h && other == t || one == t && other == h
	})
}

// proxyProtocol checks the listeners with proxy_protocol.
func (c *checker) proxyProtocol() {
	for i, l := range c.TURN.Listen {
		path := fmt.Sprintf("turn.listen[%d].proxy_protocol", i)
		if l.ProxyProtocol && !slices.ContainsFunc(l.Transports, Transport.Stream) {
			c.fail(path, "applies to tcp and tls, but transports has neither")
		}
		c.needsProxies(path, l.ProxyProtocol)
		if l.Public.Host != "" && l.Address.Loopback() && !l.ProxyProtocol && slices.ContainsFunc(l.Transports, Transport.Stream) {
			c.warn(fmt.Sprintf("turn.listen[%d]", i), "is on loopback behind a proxy that clients reach, so icebox would relay from %s, which no peer can reach: "+
				"let the proxy send the PROXY protocol, and set proxy_protocol", l.Address.Addr)
		}
	}
	for i, l := range c.HTTP.Listen {
		c.needsProxies(fmt.Sprintf("http.listen[%d].proxy_protocol", i), l.ProxyProtocol)
	}
	for _, s := range c.Shared() {
		if c.HTTP.Listen[s.HTTP].ProxyProtocol != c.TURN.Listen[s.TURN].ProxyProtocol {
			c.fail(fmt.Sprintf("http.listen[%d].proxy_protocol", s.HTTP), "must have the same value as turn.listen[%d], which shares %s", s.TURN, s.Address)
		}
	}
}

func (c *checker) needsProxies(path string, wanted bool) {
	if wanted && len(c.HTTP.TrustedProxies) == 0 {
		c.fail(path, "needs at least one proxy in http.trusted_proxies")
	}
}
