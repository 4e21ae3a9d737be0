package turnserver

import (
	"net"
	"net/netip"
	"testing"

	"icebox/turnserver/wire"
)

// loose is a client's socket that accepts datagrams from any address, so that it also receives a reply that was sent from another
// address than the one it asked.
type loose struct {
	*net.UDPConn
	t  testing.TB
	to netip.AddrPort
}

func (l *loose) Write(b []byte) (int, error) { return l.WriteToUDPAddrPort(b, l.to) }

func (l *loose) Read(b []byte) (int, error) {
	n, from, err := l.ReadFromUDPAddrPort(b)
	if err == nil && from != l.to {
		l.t.Errorf("asked %v, answered by %v", l.to, from)
	}
	return n, err
}

// On an interface with two addresses, the server sends to a client from the address that the client sends to, and relays from that
// address.
func TestTwoAddressesOfAnInterface(t *testing.T) {
	first, second := loopback4, netip.MustParseAddr("127.0.0.3")
	ts := serve(t, func(o *Options, _ *Limits) {
		o.RelayAddrs = []RelayAddr{{own4, own4}, {first, first}, {second, second}}
	})
	p := newPeer(t, netip.MustParseAddr("127.0.0.4"))
	clients := make(map[netip.Addr]*client)
	relays := make(map[netip.Addr]netip.AddrPort)
	for _, local := range []netip.Addr{first, second} {
		server, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0)))
		if err != nil {
			t.Fatal(err)
		}
		to := server.LocalAddr().(*net.UDPAddr).AddrPort()
		if err := ts.AddUDP(server, UDPOptions{}); err != nil {
			t.Fatal(err)
		}
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{}) // not bound to an address, so the kernel chooses one
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, conn)
		c.conn = &loose{UDPConn: conn, t: t, to: to}
		clients[local] = c
	}
	for local, c := range clients {
		m := c.do(wire.Binding, nil)
		mapped, _ := m.Get(wire.AttrXORMappedAddress)
		want := c.conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		if a, ok := m.XORAddress(mapped); !ok || a.Port() != want || !a.Addr().IsLoopback() {
			t.Errorf("%v sees %v", local, a)
		}
		relays[local] = c.allocate(0)
		if relays[local].Addr() != local {
			t.Errorf("relayed address %v for a client of %v", relays[local], local)
		}
		c.must(c.permit(p.addr), 0)
		c.sendTo(p.addr, "hello")
		p.want(relays[local], "hello")
		p.send(relays[local], "as indication")
		c.wantData(p.addr, "as indication")
		c.must(c.bind(0x4000, p.addr), 0)
		p.send(relays[local], "on a channel")
		c.wantChannel(0x4000, "on a channel")
	}
	a, b := clients[first], clients[second]
	a.must(a.permit(relays[second]), 0)
	b.must(b.permit(relays[first]), 0)
	a.sendTo(relays[second], "handed over")
	b.wantData(relays[first], "handed over")
}

// Two ports of one address are two clients.
func TestOneSocketManyClients(t *testing.T) {
	ts := serve(t, relayApart)
	p := newPeer(t, loopback4)
	var clients []*client
	for range 20 {
		c := ts.dial(t, "udp4")
		c.allocate(0)
		c.must(c.bind(0x4000, p.addr), 0)
		clients = append(clients, c)
	}
	for i, c := range clients {
		c.sendOn(0x4000, string(rune('a'+i)))
		b := make([]byte, 10)
		n, from, err := p.conn.ReadFromUDPAddrPort(b)
		if err != nil || string(b[:n]) != string(rune('a'+i)) {
			t.Fatalf("%q, %v", b[:n], err)
		}
		p.send(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), "back")
		c.wantChannel(0x4000, "back")
	}
}

// ICMP errors from the ports of peers and clients that have gone end no session.
func TestClosedPortsEndNothing(t *testing.T) {
	ts := serve(t, relayApart)
	for _, transport := range []string{"udp4", "tcp4"} {
		t.Run(transport, func(t *testing.T) {
			c, p, closed := ts.dial(t, transport), newPeer(t, loopback4), newPeer(t, loopback4)
			relayed := c.allocate(0)
			c.must(c.bind(0x4000, closed.addr), 0)
			c.must(c.permit(p.addr), 0)
			closed.conn.Close()
			for range 20 {
				c.sendOn(0x4000, "to a closed port")
				c.sendTo(closed.addr, "to a closed port")
				c.wantNothing()
				c.sendTo(p.addr, "to an open one")
				p.want(relayed, "to an open one")
				p.send(relayed, "and back")
				c.wantData(p.addr, "and back")
			}
			gone := ts.dial(t, "udp4")
			abandoned := gone.allocate(0)
			gone.must(gone.permit(p.addr), 0)
			gone.conn.Close()
			for range 20 {
				p.send(abandoned, "to a client that is gone")
				c.wantNothing()
			}
			if n := len(ts.Sessions()); n != 2 {
				t.Errorf("%d sessions, want that of the client and that of the one who left", n)
			}
			for _, s := range ts.Sessions() {
				ts.End(withID(s.ID))
			}
		})
	}
}

// A packet from a peer is relayed whole if it is at most as long as the limit, and otherwise dropped whole.
func TestPacketSizes(t *testing.T) {
	ts := serve(t, relayApart)
	for _, transport := range []string{"udp4", "tcp4", "tls4", "dtls4"} {
		t.Run(transport, func(t *testing.T) {
			c, p := ts.dial(t, transport), newPeer(t, loopback4)
			relayed := c.allocate(0)
			c.must(c.bind(0x4000, p.addr), 0)
			for _, size := range []int{0, 1, 1199, 1200, 1472, 1600, 2000, relayPayload} {
				payload := string(make([]byte, size))
				c.sendOn(0x4000, payload)
				p.want(relayed, payload)
				p.send(relayed, payload)
				c.wantChannel(0x4000, payload)
			}
			ts.awaitDrop(t, DropOversized, func() { p.send(relayed, string(make([]byte, relayPayload+1))) })
			c.wantNothing()
		})
	}
}
