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

// The server refuses unsupported features as the RFCs require, and announces none of them.
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
	// MESSAGE-INTEGRITY-SHA256 after MESSAGE-INTEGRITY is ignored. Alone it does not authenticate.
	d := ts.dial(t, "udp4")
	d.must(d.do(wire.Allocate, with(udpTransport, attr(wire.AttrMessageIntegritySHA256, make([]byte, 32)...))), wire.Unauthorized)
}

// On a host with several addresses, responses are sent from the address that the request was sent to.
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
	c := ts.dial(t, "udp4") // connected, so it receives only from 127.0.0.3
	c.must(c.do(wire.Binding, nil), 0)
	c.allocate(0)
}

// The ICMP error from a closed port of a peer must not end the session.
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

// startDrain has the server drain, and returns while sessions are left.
func (ts *testServer) startDrain(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ts.Drain(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("Drain: %v", err)
	}
}

// A draining server names another one of the client's family, in answer to an Allocate with a signature or without
// one. Without such a server it asks for the signature and then refuses. Clients with an allocation go on.
func TestTryAlternate(t *testing.T) {
	other4, other6 := netip.MustParseAddrPort("198.51.100.9:3478"), netip.MustParseAddrPort("[2001:db8::9]:3478")
	value4 := []byte{0, 1, 3478 >> 8, 3478 & 0xFF, 198, 51, 100, 9}
	value6 := append([]byte{0, 2, 3478 >> 8, 3478 & 0xFF}, other6.Addr().AsSlice()...)
	for name, tt := range map[string]struct {
		alternates []netip.AddrPort
		want4      []byte // ALTERNATE-SERVER for clients over IPv4; nil: they are refused
		want6      []byte
	}{
		"IPv4":    {[]netip.AddrPort{other4}, value4, nil},
		"IPv6":    {[]netip.AddrPort{other6}, nil, value6},
		"both":    {[]netip.AddrPort{other6, other4}, value4, value6},
		"neither": {nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			ts := serve(t, func(o *Options, l *Limits) { relayApart(o, l); l.AlternateServers = tt.alternates })
			c, p := ts.dial(t, "udp4"), newPeer(t, loopback4)
			c.login()
			allocate := c.message(wire.Allocate, udpTransport)
			m := c.exchange(allocate)
			c.must(m, 0)
			relayed := relayedOf(t, m)[0]
			ts.startDrain(t)
			for _, transport := range everyTransport() {
				want := tt.want4
				if transport[len(transport)-1] == '6' {
					want = tt.want6
				}
				ts.seeksAllocation(t, transport, want)
			}

			c.must(c.exchange(allocate), 0) // a retransmission
			c.must(c.exchange(unsigned(wire.Allocate, udpTransport)), wire.Unauthorized)
			c.must(c.do(wire.Allocate, udpTransport), wire.AllocationMismatch)
			c.must(c.do(wire.Refresh, nil), 0)
			c.must(c.permit(p.addr), 0)
			c.sendTo(p.addr, "goes on")
			p.want(relayed, "goes on")
		})
	}
}

// seeksAllocation sends an unsigned Allocate and then a signed one to a draining server. Both get a 300 with this
// ALTERNATE-SERVER; if it is nil, they get 401 and 508.
func (ts *testServer) seeksAllocation(t *testing.T, transport string, alternate []byte) {
	t.Helper()
	c := ts.dial(t, transport)
	first := c.exchange(unsigned(wire.Allocate, udpTransport))
	c.login()
	second := c.do(wire.Allocate, udpTransport)
	if alternate == nil {
		c.must(first, wire.Unauthorized)
		c.must(second, wire.InsufficientCapacity)
		return
	}
	for _, m := range []*wire.Message{first, second} {
		c.must(m, wire.TryAlternate)
		if v, _ := m.Get(wire.AttrAlternateServer); !bytes.Equal(v, alternate) {
			t.Errorf("%s: ALTERNATE-SERVER %x, want %x", transport, v, alternate)
		}
	}
	if first.HasIntegrity() || first.Has(wire.AttrNonce) || !second.HasIntegrity() {
		t.Errorf("%s: the first answer is signed: %v, has a nonce: %v; the second is signed: %v",
			transport, first.HasIntegrity(), first.Has(wire.AttrNonce), second.HasIntegrity())
	}
}
