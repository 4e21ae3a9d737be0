package main

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
		all       = []service{{config.UDP, every, 3478}, {config.TCP, every, 3478}, {config.OverTLS, every, 5349}, {config.DTLS, every, 5349}, {config.UDP, every, 443}}
		pairs     = []sockets.Pair{{Public: public, Private: private}}
		everyKind = "stun:H:3478 turn:H:3478?transport=udp turn:H:3478?transport=tcp turns:H:5349?transport=tcp"
	)
	for name, test := range map[string]struct {
		c    catalogue
		host string
		dtls bool
		want string
	}{
		"the client's host":      {catalogue{services: all}, "box.lan", false, strings.ReplaceAll(everyKind, "H", "box.lan")},
		"the public host":        {catalogue{services: all, publicHost: "turn.example.org"}, "box.lan", false, strings.ReplaceAll(everyKind, "H", "turn.example.org")},
		"IPv6 literal":           {catalogue{services: all}, "[2001:db8::1]", false, strings.ReplaceAll(everyKind, "H", "[2001:db8::1]")},
		"public IPv6":            {catalogue{services: all, publicHost: "2001:db8::7"}, "", false, strings.ReplaceAll(everyKind, "H", "[2001:db8::7]")},
		"no host":                {catalogue{services: all, fallback: private}, "", false, strings.ReplaceAll(everyKind, "H", "10.0.0.5")},
		"a forged host":          {catalogue{services: all, fallback: private}, "evil?x=\"<b>", false, strings.ReplaceAll(everyKind, "H", "10.0.0.5")},
		"DTLS on request":        {catalogue{services: all[3:4]}, "h", true, "turns:h:5349?transport=udp"},
		"only what is served":    {catalogue{services: all[2:3]}, "h", false, "turns:h:5349?transport=tcp"},
		"STUN alone":             {catalogue{stunOnly: []service{{config.UDP, every, 9090}}}, "h", false, "stun:h:9090"},
		"STUN beside TURN":       {catalogue{services: all[:1], stunOnly: []service{{config.UDP, every, 9090}}}, "h", false, "stun:h:3478 turn:h:3478?transport=udp"},
		"another family":         {catalogue{services: []service{{config.UDP, every4, 3478}}}, "::1", false, ""},
		"loopback, from afar":    {catalogue{services: []service{{config.UDP, loopback, 3478}}}, "box.lan", false, ""},
		"loopback, from here":    {catalogue{services: []service{{config.TCP, loopback, 3478}}}, "localhost", false, "turn:127.0.0.1:3478?transport=tcp"},
		"one address, behind it": {catalogue{services: []service{{config.TCP, private, 3478}}, pairs: pairs}, "10.0.0.9", false, "turn:203.0.113.7:3478?transport=tcp"},
		"one address, by name":   {catalogue{services: []service{{config.TCP, private, 3478}}, pairs: pairs}, "box.lan", false, "turn:box.lan:3478?transport=tcp"},
	} {
		t.Run(name, func(t *testing.T) {
			stun, turn := test.c.uris(test.host, test.dtls)
			if got := strings.Join(append(stun, turn...), " "); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}
