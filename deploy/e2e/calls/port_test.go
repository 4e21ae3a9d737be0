package calls

import (
	"strings"
	"testing"

	"icebox/deploy/e2e/netlab"
)

// only443 is a network that lets out nothing but TCP 443.
var only443 = netlab.Options{Allow: []string{"tcp dport 443"}}

// spoken is the protocol that a browser fetched the page with.
func (p *phone) spoken() (protocol string) {
	p.Run(`return performance.getEntriesByType("navigation")[0].nextHopProtocol`, nil, &protocol)
	return protocol
}

// TestOnePort has everything on TCP 443 of the daemon: the page over HTTP/2, signalling over WSS, and the media in TURN over
// TLS; nothing else leaves the clients' networks.
func TestOnePort(t *testing.T) {
	t.Parallel()
	s := setUp(t, variant{lab: only443, config: "turn: {listen: [{address: \":443\", transports: [udp, tls, dtls]}]}"})
	s.signIn("")
	for _, p := range []*phone{s.left, s.right} {
		if got := p.spoken(); got != "h2" {
			t.Errorf("%s fetched the page with %s, want h2", p.name, got)
		}
	}
	s.watch().only(t, "tls", netlab.Page)
	for kind, least := range map[string]float64{"web": 4, "turn": 2} { // pages and WebSockets are connections of their own
		if n := s.icebox.Metric("icebox_http_shared_connections_total", `kind="`+kind+`"`); n < least {
			t.Errorf("%v connections of the kind %s, want %v or more", n, kind, least)
		}
	}
	s.hangUp()
}

// TestOnePortBehindNginx has Debian's Nginx keep TCP 443 with the shipped stream in front of the shipped site: TURN over TLS goes
// through it to the daemon by its own name, which knows the clients' true addresses all the same.
func TestOnePortBehindNginx(t *testing.T) {
	t.Parallel()
	const relay = "relay." + name
	s := setUp(t, variant{lab: only443, nginx: true, relay: relay,
		config: "log: {level: debug}\nturn: {listen: [{address: \":3478\"}, " +
			"{address: \"127.0.0.1:5350\", transports: [tls], proxy_protocol: true, public: \"" + relay + ":443\"}]}"})
	s.signIn("")
	w := s.watch()
	w.only(t, "tls", netlab.Page)
	s.hangUp()
	s.knows("client connected", "45.33.1.2", "2600:3c01:0:1::2")
	s.knows("session ended", "45.33.1.2", "2600:3c01:0:1::2")
}

// knows expects the daemon's log to name left's router, by one of its addresses, in a line with these words.
func (s *scene) knows(words string, addresses ...string) {
	s.t.Helper()
	for line := range strings.SplitSeq(s.icebox.Log(), "\n") {
		if !strings.Contains(line, words) {
			continue
		}
		for _, a := range addresses {
			if strings.Contains(line, a) {
				return
			}
		}
	}
	s.t.Errorf("no line of the log with %q names %v:\n%s", words, addresses, s.icebox.Log())
}
