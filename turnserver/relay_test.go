package turnserver

import (
	"net/netip"
	"testing"

	"icebox/turnserver/wire"
)

// own4 is the server's own address. The test's peers are on 127.0.0.1, so they are not on the server's address.
var own4 = netip.MustParseAddr("127.0.0.2")

func relayApart(o *Options, _ *Limits) {
	o.RelayAddrs = []RelayAddr{{Local: own4, Advertised: own4}}
}

func everyTransport() []string {
	return []string{"udp4", "udp6", "tcp4", "tcp6", "tls4", "tls6", "dtls4", "dtls6"}
}

func TestRelay(t *testing.T) {
	for _, transport := range everyTransport() {
		t.Run(transport, func(t *testing.T) {
			ts := serve(t, relayApart)
			c, p, q := ts.dial(t, transport), newPeer(t, loopback4), newPeer(t, loopback4)
			relayed := c.allocate(0)
			if relayed.Addr() != own4 {
				t.Fatalf("relayed address %v", relayed)
			}
			ts.awaitDrop(t, DropNoPermission, func() { p.send(relayed, "before any permission") })
			c.must(c.permit(p.addr), 0)
			c.sendTo(p.addr, "hello")
			p.want(relayed, "hello")
			p.send(relayed, "world!")
			c.wantData(p.addr, "world!")
			q.send(relayed, "another port of a permitted address")
			c.wantData(q.addr, "another port of a permitted address")

			c.must(c.bind(0x4000, p.addr), 0)
			for _, data := range []string{"a", "ab", "abc", "abcd", ""} {
				c.sendOn(0x4000, data)
				p.want(relayed, data)
				p.send(relayed, data)
				c.wantChannel(0x4000, data)
			}
			c.sendTo(p.addr, "indications still work")
			p.want(relayed, "indications still work")

			c.wantNothing() // so the server has counted everything
			info := ts.Sessions()
			if len(info) != 1 || info[0].User != testUser || info[0].Relayed[0] != relayed || info[0].ToPeerPackets != 7 || info[0].FromPeerPackets != 7 {
				t.Errorf("sessions: %+v", info)
			}
			m := c.do(wire.Refresh, func(b *wire.Builder) { b.Lifetime(0) })
			c.must(m, 0)
			c.sendOn(0x4000, "nobody relays this")
			c.wantNothing()
			if n := len(ts.Sessions()); n != 0 {
				t.Errorf("%d sessions after release", n)
			}
		})
	}
}

func TestRelayIPv6(t *testing.T) {
	ts := serve(t, func(o *Options, l *Limits) {
		o.RelayAddrs = []RelayAddr{{Local: loopback6, Advertised: netip.MustParseAddr("2001:db8::7")}, {Local: own4, Advertised: own4}}
	})
	c := ts.dial(t, "udp6")
	relayed := c.allocate(wire.IPv6)
	if relayed.Addr() != netip.MustParseAddr("2001:db8::7") {
		t.Errorf("relayed address %v is not the advertised one", relayed)
	}
}

// A packet between two clients of one server stays within the process. Its source is the sender's advertised relayed address, and the
// receiver's permissions apply.
func TestHandOver(t *testing.T) {
	private, public := loopback4, netip.MustParseAddr("203.0.113.7")
	ts := serve(t, func(o *Options, l *Limits) {
		o.RelayAddrs = []RelayAddr{{Local: private, Advertised: public}}
		l.Peers = nil // the default policy, which allows a live relayed address of the server on any network
	})
	for _, transports := range [][2]string{{"udp4", "udp4"}, {"udp4", "tcp4"}, {"tcp4", "dtls4"}, {"tls4", "udp6"}, {"dtls6", "tls6"}} {
		t.Run(transports[0]+" to "+transports[1], func(t *testing.T) {
			a, b := ts.dial(t, transports[0]), ts.dial(t, transports[1])
			ra, rb := a.allocate(0), b.allocate(0)
			if ra.Addr() != public || rb.Addr() != public {
				t.Fatalf("relayed %v and %v", ra, rb)
			}
			a.must(a.permit(rb), 0)
			ts.awaitDrop(t, DropNoPermission, func() { a.sendTo(rb, "not permitted at the other end") })
			b.must(b.permit(ra), 0)
			a.sendTo(rb, "hello")
			b.wantData(ra, "hello")
			b.must(b.bind(0x4001, ra), 0)
			a.sendTo(rb, "five5")
			b.wantChannel(0x4001, "five5")
			a.must(a.bind(0x4000, rb), 0)
			b.sendOn(0x4001, "back")
			a.wantChannel(0x4000, "back")

			// The private address of the relay leads there as well.
			inner := netip.AddrPortFrom(private, rb.Port())
			a.must(a.permit(inner), 0)
			a.sendTo(inner, "in private")
			b.wantChannel(0x4001, "in private")

			// A port without an allocation is denied, like every other port of the server's own address.
			free := netip.AddrPortFrom(public, rb.Port()^1)
			if sess, _ := ts.liveRelay(free); sess == nil {
				a.must(a.bind(0x4002, free), wire.Forbidden)
			}
		})
	}
}
