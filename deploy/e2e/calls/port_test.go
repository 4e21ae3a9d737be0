package calls

import (
	"strings"
	"testing"

	"icebox/deploy/e2e/netlab"
)

// only443 is a network whose routers pass only TCP to port 443.
var only443 = netlab.Options{Allow: []string{"tcp dport 443"}}

// spoken returns the protocol over which a browser fetched the page.
func (p *phone) spoken() (protocol string) {
	p.Run(`return performance.getEntriesByType("navigation")[0].nextHopProtocol`, nil, &protocol)
	return protocol
}

// TestOnePort uses only TCP port 443 of the daemon: for the page over HTTP/2, for signalling over
// WSS, and for the media in TURN over TLS. Nothing else leaves the clients' networks.
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
	for kind, least := range map[string]float64{"web": 4, "turn": 2} { // pages and WebSockets use separate connections
		if n := s.icebox.Metric("icebox_http_shared_connections_total", `kind="`+kind+`"`); n < least {
			t.Errorf("%v connections of kind %s, want at least %v", n, kind, least)
		}
	}
	s.hangUp()
}

// TestOnePortBehindNginx lets Debian's Nginx listen on TCP port 443, with the shipped stream in
// front of the shipped site. TURN over TLS reaches the daemon through Nginx by a name of its own,
// and the daemon must still know the clients' real addresses.
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

// knows checks that a line of the daemon's log contains words and one of the addresses, which are
// left's router's.
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
	s.t.Errorf("no line of the log has %q and one of %v:\n%s", words, addresses, s.icebox.Log())
}
