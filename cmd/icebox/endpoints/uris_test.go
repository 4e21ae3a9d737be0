package endpoints

import (
	"net/netip"
	"strings"
	"testing"

	"icebox/cmd/icebox/sockets"
	"icebox/config"
)

func TestURIs(t *testing.T) {
	var (
		every     netip.Addr
		every4    = netip.IPv4Unspecified()
		private   = netip.MustParseAddr("10.0.0.5")
		public    = netip.MustParseAddr("203.0.113.7")
		loopback  = netip.MustParseAddr("127.0.0.1")
		all       = []service{{transport: config.UDP, addr: every, port: 3478}, {transport: config.TCP, addr: every, port: 3478}, {transport: config.OverTLS, addr: every, port: 5349}, {transport: config.DTLS, addr: every, port: 5349}, {transport: config.UDP, addr: every, port: 443}}
		pairs     = []sockets.Pair{{Public: public, Private: private}}
		everyKind = "stun:H:3478 turn:H:3478?transport=udp turn:H:3478?transport=tcp turns:H:5349?transport=tcp"
	)
	for name, test := range map[string]struct {
		c    Catalogue
		host string
		dtls bool
		want string
	}{
		"the client's host":                  {Catalogue{services: all}, "box.lan", false, strings.ReplaceAll(everyKind, "H", "box.lan")},
		"the public host":                    {Catalogue{services: all, publicHost: "turn.example.org"}, "box.lan", false, strings.ReplaceAll(everyKind, "H", "turn.example.org")},
		"IPv6 literal":                       {Catalogue{services: all}, "[2001:db8::1]", false, strings.ReplaceAll(everyKind, "H", "[2001:db8::1]")},
		"public IPv6":                        {Catalogue{services: all, publicHost: "2001:db8::7"}, "", false, strings.ReplaceAll(everyKind, "H", "[2001:db8::7]")},
		"no host":                            {Catalogue{services: all, fallback: private}, "", false, strings.ReplaceAll(everyKind, "H", "10.0.0.5")},
		"a forged host":                      {Catalogue{services: all, fallback: private}, "evil?x=\"<b>", false, strings.ReplaceAll(everyKind, "H", "10.0.0.5")},
		"DTLS on request":                    {Catalogue{services: all[3:4]}, "h", true, "turns:h:5349?transport=udp"},
		"only served transports":             {Catalogue{services: all[2:3]}, "h", false, "turns:h:5349?transport=tcp"},
		"STUN alone":                         {Catalogue{stunOnly: []service{{transport: config.UDP, addr: every, port: 9090}}}, "h", false, "stun:h:9090"},
		"STUN beside TURN":                   {Catalogue{services: all[:1], stunOnly: []service{{transport: config.UDP, addr: every, port: 9090}}}, "h", false, "stun:h:3478 turn:h:3478?transport=udp"},
		"behind a proxy":                     {Catalogue{services: []service{{config.OverTLS, loopback, 5350, config.HostPort{Host: "relay.example.org", Port: 443}}}, publicHost: "turn.example.org"}, "h", false, "turns:relay.example.org:443?transport=tcp"},
		"another family":                     {Catalogue{services: []service{{transport: config.UDP, addr: every4, port: 3478}}}, "::1", false, ""},
		"loopback, remote client":            {Catalogue{services: []service{{transport: config.UDP, addr: loopback, port: 3478}}}, "box.lan", false, ""},
		"loopback, local client":             {Catalogue{services: []service{{transport: config.TCP, addr: loopback, port: 3478}}}, "localhost", false, "turn:127.0.0.1:3478?transport=tcp"},
		"one address, client in its network": {Catalogue{services: []service{{transport: config.TCP, addr: private, port: 3478}}, pairs: pairs}, "10.0.0.9", false, "turn:203.0.113.7:3478?transport=tcp"},
		"one address, by name":               {Catalogue{services: []service{{transport: config.TCP, addr: private, port: 3478}}, pairs: pairs}, "box.lan", false, "turn:box.lan:3478?transport=tcp"},
	} {
		t.Run(name, func(t *testing.T) {
			stun, turn := test.c.URIs(test.host, test.dtls)
			if got := strings.Join(append(stun, turn...), " "); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}
