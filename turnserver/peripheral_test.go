package turnserver

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"icebox/turnserver/wire"
)

// What is not supported is refused in the way the RFCs give, and nothing is announced.
func TestUnsupported(t *testing.T) {
	const (
		changeRequest     = 0x0003 // RFC 5780
		accessToken       = 0x001B // RFC 7635
		passwordAlgorithm = 0x001D // RFC 8489 section 14.12
		userhash          = 0x001E // RFC 8489 section 14.4
		mobilityTicket    = 0x8030 // RFC 8016, comprehension-optional
	)
	ts := serve(t, relayApart)
	c := ts.dial(t, "udp4")
	c.must(c.do(wire.Binding, attr(changeRequest, 0, 0, 0, 6)), wire.UnknownAttribute)
	c.login()
	for _, a := range []wire.AttrType{accessToken, passwordAlgorithm, userhash} {
		c.must(c.do(wire.Allocate, with(udpTransport, attr(a, 0, 0, 0, 0))), wire.UnknownAttribute)
	}
	m := c.do(wire.Allocate, with(udpTransport, attr(mobilityTicket)))
	c.must(m, 0)
	if m.Has(mobilityTicket) {
		t.Error("a mobility ticket is given")
	}
	// MESSAGE-INTEGRITY-SHA256 behind MESSAGE-INTEGRITY is ignored; alone it does not authenticate.
	d := ts.dial(t, "udp4")
	d.must(d.do(wire.Allocate, with(udpTransport, attr(wire.AttrMessageIntegritySHA256, make([]byte, 32)...))), wire.Unauthorized)
}

// Answers leave from the address that the request went to, on a host with several.
func TestTwoAddresses(t *testing.T) {
	ts := serve(t, relayApart)
	second, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 3)})
	if err != nil {
		t.Fatal(err)
	}
	ts.addrs["udp4"] = second.LocalAddr().(*net.UDPAddr).AddrPort()
	if err := ts.AddUDP(second, UDPOptions{}); err != nil {
		t.Fatal(err)
	}
	c := ts.dial(t, "udp4") // connected: it hears 127.0.0.3 alone
	c.must(c.do(wire.Binding, nil), 0)
	c.allocate(0)
}

// A peer whose port is closed answers with ICMP, which must not end the session.
func TestClosedPeerPort(t *testing.T) {
	ts := serve(t, relayApart)
	c, gone, p := ts.dial(t, "udp4"), newPeer(t, loopback4), newPeer(t, loopback4)
	relayed := c.allocate(0)
	c.must(c.permit(p.addr), 0)
	c.must(c.bind(0x4000, gone.addr), 0)
	if err := gone.conn.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.sendOn(0x4000, "into the void")
		c.wantNothing()
	}
	c.sendTo(p.addr, "still here")
	p.want(relayed, "still here")
	p.send(relayed, "and back")
	c.wantData(p.addr, "and back")
	if n := len(ts.Sessions()); n != 1 {
		t.Errorf("%d sessions", n)
	}
	if a := ts.Sessions()[0].Relayed[0]; a != netip.AddrPortFrom(own4, relayed.Port()) {
		t.Errorf("relayed address %v", a)
	}
}

// A draining server names another one, of the client's family; those with an allocation go on.
func TestTryAlternate(t *testing.T) {
	other := netip.MustParseAddrPort("198.51.100.9:3478")
	ts := serve(t, func(o *Options, l *Limits) { relayApart(o, l); l.AlternateServers = []netip.AddrPort{other} })
	c, p := ts.dial(t, "udp4"), newPeer(t, loopback4)
	relayed := c.allocate(0)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ts.Drain(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("Drain: %v", err)
	}
	d := ts.dial(t, "udp4")
	d.login()
	m := d.do(wire.Allocate, udpTransport)
	d.must(m, wire.TryAlternate)
	if v, _ := m.Get(wire.AttrAlternateServer); !bytes.Equal(v, []byte{0, 1, 3478 >> 8, 3478 & 0xFF, 198, 51, 100, 9}) {
		t.Errorf("ALTERNATE-SERVER %x", v)
	}
	six := ts.dial(t, "udp6")
	six.login()
	six.must(six.do(wire.Allocate, udpTransport), wire.InsufficientCapacity)
	c.must(c.permit(p.addr), 0)
	c.sendTo(p.addr, "goes on")
	p.want(relayed, "goes on")
}
