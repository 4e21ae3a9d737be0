package turnserver

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"icebox/turnserver/credential"
	"icebox/turnserver/wire"
)

// relayedOf returns every XOR-RELAYED-ADDRESS of a response.
func relayedOf(t *testing.T, m *wire.Message) []netip.AddrPort {
	t.Helper()
	var list []netip.AddrPort
	for typ, v := range m.Attributes() {
		if typ == wire.AttrXORRelayedAddress {
			a, ok := m.XORAddress(v)
			if !ok {
				t.Fatalf("relayed address %x", v)
			}
			list = append(list, a)
		}
	}
	return list
}

func additional(b *wire.Builder) {
	udpTransport(b)
	b.Attribute(wire.AttrAdditionalAddressFamily, []byte{byte(wire.IPv6), 0, 0, 0})
}

// One allocation can have an address of each family (RFC 8656 section 7.2).
func TestDualAllocation(t *testing.T) {
	ts := serve(t, func(o *Options, _ *Limits) {
		o.RelayAddrs = []RelayAddr{{Local: own4, Advertised: own4}, {Local: loopback6, Advertised: netip.MustParseAddr("2001:db8::7")}}
	})
	c, p4, d := ts.dial(t, "udp4"), newPeer(t, loopback4), ts.dial(t, "tcp6")
	p6 := d.allocate(wire.IPv6) // a peer whose IPv6 address is not one of the host's
	c.login()
	m := c.do(wire.Allocate, additional)
	c.must(m, 0)
	relayed := relayedOf(t, m)
	if len(relayed) != 2 || relayed[0].Addr() != own4 || relayed[1].Addr().Is4() {
		t.Fatalf("relayed addresses %v", relayed)
	}
	c.must(c.permit(p4.addr), 0)
	c.must(c.bind(0x4000, p6), 0)
	d.must(d.permit(relayed[1]), 0)
	c.sendTo(p4.addr, "four")
	p4.want(relayed[0], "four")
	c.sendOn(0x4000, "six")
	d.wantData(relayed[1], "six")
	d.sendTo(relayed[1], "back")
	c.wantChannel(0x4000, "back")

	// A lifetime of 0 with a family ends only the address of that family.
	c.must(c.do(wire.Refresh, func(b *wire.Builder) {
		b.Lifetime(0).Attribute(wire.AttrRequestedAddressFamily, []byte{byte(wire.IPv6), 0, 0, 0})
	}), 0)
	c.must(c.permit(p6), wire.PeerFamilyMismatch)
	c.sendTo(p4.addr, "still here")
	p4.want(relayed[0], "still here")
}

// Clients of Debian's coturn ask for the second address with another attribute number.
func TestDualAllocationOfOldClients(t *testing.T) {
	ts := serve(t, func(o *Options, _ *Limits) {
		o.RelayAddrs = []RelayAddr{{Local: own4, Advertised: own4}, {Local: loopback6, Advertised: loopback6}}
	})
	c := ts.dial(t, "udp4")
	c.login()
	m := c.do(wire.Allocate, func(b *wire.Builder) {
		udpTransport(b)
		b.Attribute(wire.AttrAdditionalAddressFamilyDraft, []byte{byte(wire.IPv6), 0, 0, 0})
	})
	c.must(m, 0)
	if relayed := relayedOf(t, m); len(relayed) != 2 {
		t.Errorf("relayed addresses %v", relayed)
	}
}

// If the server cannot give one of two families, the response names the family and the reason.
func TestDualAllocationOfOneFamily(t *testing.T) {
	taken := newPeer(t, loopback6).addr.Port()
	four, six := RelayAddr{Local: own4, Advertised: own4}, RelayAddr{Local: loopback6, Advertised: loopback6}
	for name, tt := range map[string]struct {
		relay   []RelayAddr
		ports   PortRange
		missing wire.Family
		code    wire.Code
	}{
		"no IPv6":      {[]RelayAddr{four}, PortRange{}, wire.IPv6, wire.FamilyNotSupported},
		"no IPv4":      {[]RelayAddr{six}, PortRange{}, wire.IPv4, wire.FamilyNotSupported},
		"no IPv6 port": {[]RelayAddr{four, six}, PortRange{taken, taken}, wire.IPv6, wire.InsufficientCapacity},
	} {
		t.Run(name, func(t *testing.T) {
			ts := serve(t, func(o *Options, _ *Limits) { o.RelayAddrs, o.RelayPorts = tt.relay, tt.ports })
			c := ts.dial(t, "udp4")
			c.login()
			m := c.do(wire.Allocate, additional)
			c.must(m, 0)
			want := wire.NewBuilder(nil, wire.Allocate, wire.Success, m.TransactionID).AddressErrorCode(tt.missing, tt.code).Bytes()
			if v, _ := m.Get(wire.AttrAddressErrorCode); !bytes.HasPrefix(want[wire.HeaderSize+wire.AttributeHeaderSize:], v) || len(v) < 4 {
				t.Errorf("ADDRESS-ERROR-CODE %x, want family %d and %d", v, tt.missing, tt.code)
			}
			if relayed := relayedOf(t, m); len(relayed) != 1 || wire.FamilyOf(relayed[0].Addr()) == tt.missing {
				t.Errorf("relayed addresses %v", relayed)
			}
		})
	}
}

func TestEvenPortAndReservation(t *testing.T) {
	ts := serve(t, relayApart)
	a, b, other := ts.dial(t, "udp4"), ts.dial(t, "udp4"), ts.dial(t, "udp4")
	for _, c := range []*client{a, b, other} {
		c.login()
	}
	even := func(r byte) func(*wire.Builder) {
		return func(b *wire.Builder) { udpTransport(b); b.Attribute(wire.AttrEvenPort, []byte{r}) }
	}
	m := a.do(wire.Allocate, even(0x80))
	a.must(m, 0)
	first := relayedOf(t, m)[0]
	value, ok := m.Get(wire.AttrReservationToken)
	if !ok || len(value) != 8 || first.Port()%2 != 0 {
		t.Fatalf("port %d, token %x", first.Port(), value)
	}
	withToken := func(v []byte) func(*wire.Builder) {
		return func(b *wire.Builder) { udpTransport(b); b.Attribute(wire.AttrReservationToken, v) }
	}
	other.user = "bob"
	other.must(other.do(wire.Allocate, withToken(value)), wire.InsufficientCapacity) // the token of another user
	b.must(b.do(wire.Allocate, withToken(make([]byte, 8))), wire.InsufficientCapacity)
	m = b.do(wire.Allocate, withToken(value))
	b.must(m, 0)
	if second := relayedOf(t, m)[0]; second.Port() != first.Port()+1 {
		t.Errorf("reserved %d, got %d", first.Port()+1, second.Port())
	}
	c := ts.dial(t, "udp4")
	c.login()
	c.must(c.do(wire.Allocate, withToken(value)), wire.InsufficientCapacity) // a token can be redeemed once
	m = c.do(wire.Allocate, even(0))
	c.must(m, 0)
	if _, ok := m.Get(wire.AttrReservationToken); ok || relayedOf(t, m)[0].Port()%2 != 0 {
		t.Errorf("EVEN-PORT without R: port %d, token %v", relayedOf(t, m)[0].Port(), ok)
	}
}

// The server responds to EVEN-PORT with 508 if no pair is left, and loses no port.
func TestEvenPortLeaksNothing(t *testing.T) {
	ts := serve(t, func(o *Options, l *Limits) {
		relayApart(o, l)
		o.RelayPorts = PortRange{Min: 56000, Max: 56001}
		l.AllocationsTotal = 100
	})
	for range 5 {
		c, d := ts.dial(t, "udp4"), ts.dial(t, "udp4")
		c.login()
		d.login()
		reserve := func(b *wire.Builder) { udpTransport(b); b.Attribute(wire.AttrEvenPort, []byte{0x80}) }
		m := c.do(wire.Allocate, reserve)
		c.must(m, 0)
		value, _ := m.Get(wire.AttrReservationToken)
		d.must(d.do(wire.Allocate, reserve), wire.InsufficientCapacity)
		d.must(d.do(wire.Allocate, func(b *wire.Builder) { udpTransport(b); b.Attribute(wire.AttrReservationToken, value) }), 0)
		for _, x := range []*client{c, d} {
			x.must(x.do(wire.Refresh, func(b *wire.Builder) { b.Lifetime(0) }), 0)
		}
	}
	ts.quota.mu.Lock()
	defer ts.quota.mu.Unlock()
	if n := ts.quota.total; n != 0 {
		t.Errorf("%d allocations are still counted", n)
	}
}

func TestReservationEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := newRelayHost(RelayAddr{Local: own4, Advertised: own4}, PortRange{Min: 49152, Max: 65535})
		g := &allocatePlan{host: host}
		if _, ok := g.takePair(host.pool); !ok {
			t.Fatal("no pair")
		}
		if c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(own4, g.next.port))); err == nil {
			c.Close()
			t.Error("another process can have the reserved port")
		}
		q := newQuota()
		entry, _ := q.reserve(credential.Identity{}, own4, &limits{Limits: Limits{AllocationsTotal: 1, AllocationsPerUser: 1, AllocationsPerAddr: 1}})
		r := newReservations()
		value := r.add(&reservation{heldPort: g.next, entry: entry})
		time.Sleep(reservationTime + time.Second)
		synctest.Wait()
		if r.redeem(value, credential.Identity{}) != nil || q.total != 0 || host.pool.Free() != 65535-49152 {
			t.Errorf("%d allocations counted, %d ports free", q.total, host.pool.Free())
		}
	})
}

// With DONT-FRAGMENT, a datagram that does not fit is lost (RFC 8656 section 11.3).
func TestDontFragment(t *testing.T) {
	ts := serve(t, relayApart)
	c, p := ts.dial(t, "udp4"), newPeer(t, loopback4)
	c.login()
	c.must(c.do(wire.Allocate, func(b *wire.Builder) { udpTransport(b); b.Attribute(wire.AttrDontFragment, nil) }), 0)
	c.must(c.permit(p.addr), 0)
	c.write(wire.NewBuilder(nil, wire.Send, wire.Indication, newID()).XORAddress(wire.AttrXORPeerAddress, p.addr).
		Attribute(wire.AttrDontFragment, nil).Attribute(wire.AttrData, []byte("whole")).Bytes())
	p.want(relayedOfSession(ts), "whole")
}

func relayedOfSession(ts *testServer) netip.AddrPort { return ts.Sessions()[0].Relayed[0] }

// RFC 5766 section 11 allows channel numbers that RFC 8656 section 12 does not.
func TestChannelNumbers(t *testing.T) {
	for name, strict := range map[string]bool{"as in RFC 5766": false, "as in RFC 8656": true} {
		t.Run(name, func(t *testing.T) {
			ts := serve(t, func(o *Options, l *Limits) { relayApart(o, l); l.StrictChannels = strict })
			c, p := ts.dial(t, "udp4"), newPeer(t, loopback4)
			relayed := c.allocate(0)
			for _, number := range []uint16{0, 0x1234, 0x3FFF, 0x8000, 0xFFFF} {
				c.must(c.bind(number, p.addr), wire.BadRequest)
			}
			old := wire.Code(0)
			if strict {
				old = wire.BadRequest
			}
			c.must(c.bind(0x7FFF, p.addr), old)
			if !strict {
				c.sendOn(0x7FFF, "far up")
				p.want(relayed, "far up")
			}
		})
	}
}
