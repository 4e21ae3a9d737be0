package turnserver

import (
	"net/netip"
	"strings"
	"testing"

	"icebox/turnserver/wire"
)

// The relay address of a client depends on the address that it sends to and on the family that it asks for.
func TestFamilyOfRelayedAddress(t *testing.T) {
	const none = ""
	for name, tt := range map[string]struct {
		relay, reached           string
		noFamily, asked4, asked6 string
	}{
		"dual stack, over IPv4":             {"198.51.100.9 2001:db8::5", "198.51.100.9", "198.51.100.9", "198.51.100.9", "2001:db8::5"},
		"dual stack, over IPv6":             {"198.51.100.9 2001:db8::5", "2001:db8::5", "198.51.100.9", "198.51.100.9", "2001:db8::5"},
		"dual stack, over loopback":         {"198.51.100.9 2001:db8::5", "127.0.0.1", "198.51.100.9", "198.51.100.9", "2001:db8::5"},
		"a second address":                  {"198.51.100.9 198.51.100.10", "198.51.100.10", "198.51.100.10", "198.51.100.10", none},
		"an address that does not relay":    {"198.51.100.9 198.51.100.10", "172.17.0.1", "198.51.100.9", "198.51.100.9", none},
		"IPv6 only":                         {"2001:db8::5", "2001:db8::5", "2001:db8::5", none, "2001:db8::5"},
		"IPv6 only, over IPv4":              {"2001:db8::5", "172.17.0.1", "2001:db8::5", none, "2001:db8::5"},
		"IPv4 only":                         {"198.51.100.9", "198.51.100.9", "198.51.100.9", "198.51.100.9", none},
		"IPv4 only, over IPv6":              {"198.51.100.9", "2001:db8::5", "198.51.100.9", "198.51.100.9", none},
		"loopback only":                     {"127.0.0.1 ::1", "127.0.0.1", "127.0.0.1", "127.0.0.1", "::1"},
		"loopback only, from afar":          {"127.0.0.1", "198.51.100.9", "127.0.0.1", "127.0.0.1", none},
		"IPv6 and loopback, over IPv6":      {"2001:db8::5 127.0.0.1", "2001:db8::5", "2001:db8::5", none, "2001:db8::5"},
		"IPv6 and loopback, over loopback":  {"2001:db8::5 127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", "2001:db8::5"},
		"IPv4 and loopback, over IPv4":      {"198.51.100.9 ::1", "198.51.100.9", "198.51.100.9", "198.51.100.9", none},
		"loopback first, over IPv4":         {"127.0.0.1 198.51.100.9", "198.51.100.9", "198.51.100.9", "198.51.100.9", none},
		"loopback first, at another of IP4": {"127.0.0.1 198.51.100.9", "198.51.100.10", "198.51.100.9", "198.51.100.9", none},
	} {
		t.Run(name, func(t *testing.T) {
			var relay []RelayAddr
			for a := range strings.FieldsSeq(tt.relay) {
				relay = append(relay, RelayAddr{netip.MustParseAddr(a), netip.MustParseAddr(a)})
			}
			s, err := New(Options{Realm: testRealm, RelayAddrs: relay}, testLimits(t))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for family, want := range map[wire.Family]string{0: tt.noFamily, wire.IPv4: tt.asked4, wire.IPv6: tt.asked6} {
				got := ""
				if h := s.relayHost(netip.MustParseAddr(tt.reached), family); h != nil {
					got = h.Local.String()
				}
				if got != want {
					t.Errorf("family %d: got %q, want %q", family, got, want)
				}
			}
		})
	}
}

// A relay without IPv4 serves clients that name no family, reserved ports included, and refuses those that ask for IPv4.
func TestIPv6OnlyRelay(t *testing.T) {
	ts := serve(t, func(o *Options, _ *Limits) { o.RelayAddrs = []RelayAddr{{loopback6, loopback6}} })
	for _, transport := range []string{"udp4", "udp6", "tcp6"} {
		t.Run(transport, func(t *testing.T) {
			c := ts.dial(t, transport)
			if relayed := c.allocate(0); relayed.Addr() != loopback6 {
				t.Errorf("relayed address %v", relayed)
			}
			c.must(c.permit(netip.AddrPortFrom(loopback4, 9)), wire.PeerFamilyMismatch)

			c = ts.dial(t, transport)
			c.login()
			c.must(c.do(wire.Allocate, with(udpTransport, attr(wire.AttrRequestedAddressFamily, byte(wire.IPv4), 0, 0, 0))), wire.FamilyNotSupported)
			c.must(c.do(wire.Allocate, with(udpTransport, attr(wire.AttrEvenPort, 0), attr(wire.AttrRequestedAddressFamily, byte(wire.IPv4), 0, 0, 0))), wire.FamilyNotSupported)
			m := c.do(wire.Allocate, with(udpTransport, attr(wire.AttrEvenPort, 0x80)))
			c.must(m, 0)
			first := relayedOf(t, m)[0]
			token, _ := m.Get(wire.AttrReservationToken)

			c = ts.dial(t, transport)
			c.login()
			m = c.do(wire.Allocate, with(udpTransport, attr(wire.AttrReservationToken, token...)))
			c.must(m, 0)
			if second := relayedOf(t, m)[0]; first.Addr() != loopback6 || second != netip.AddrPortFrom(loopback6, first.Port()+1) {
				t.Errorf("reserved the port after %v and got %v", first, second)
			}
		})
	}
}

// A loopback address of either family that is not a relay address is forbidden as a peer.
func TestLoopbackPeer(t *testing.T) {
	ts := serve(t, func(o *Options, l *Limits) {
		o.RelayAddrs = []RelayAddr{{own4, own4}, {loopback6, loopback6}}
		l.Peers = nil
	})
	c := ts.dial(t, "udp4")
	c.login()
	c.must(c.do(wire.Allocate, additional), 0)
	for i, a := range []string{"127.0.0.1:9", "127.9.9.9:9"} {
		p := netip.MustParseAddrPort(a)
		c.must(c.permit(p), wire.Forbidden)
		c.must(c.bind(0x4000+uint16(i), p), wire.Forbidden)
	}
	c.must(c.permit(netip.AddrPortFrom(own4, 9)), 0) // another client's relayed address may be there
}
