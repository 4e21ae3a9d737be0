package turnserver

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/turnserver/peer"
	"icebox/turnserver/wire"
)

// If one peer of a request is refused, none of them is permitted.
func TestPermissionsAreAllOrNothing(t *testing.T) {
	ts := serve(t, relayApart)
	c, p := ts.dial(t, "udp4"), newPeer(t, loopback4)
	relayed := c.allocate(0)
	for name, tt := range map[string]struct {
		attrs attrs
		want  wire.Code
	}{
		"forbidden":    {peers(p.addr, forbidden4), wire.Forbidden},
		"other family": {peers(p.addr, elsewhere6), wire.PeerFamilyMismatch},
		"malformed":    {with(peers(p.addr), attr(wire.AttrXORPeerAddress, 0, 1, 2, 3)), wire.BadRequest},
		"unknown":      {with(peers(p.addr), alien()), wire.UnknownAttribute},
	} {
		t.Run(name, func(t *testing.T) {
			c.must(c.do(wire.CreatePermission, tt.attrs), tt.want)
			ts.awaitDrop(t, DropNoPermission, func() { c.sendTo(p.addr, "not permitted") })
		})
	}
	c.must(c.permit(elsewhere4, p.addr), 0)
	c.sendTo(p.addr, "permitted")
	p.want(relayed, "permitted")
}

// A channel has one peer, and a peer has one channel. A refused ChannelBind changes nothing.
func TestRebinding(t *testing.T) {
	ts := serve(t, relayApart)
	c, p, q := ts.dial(t, "udp4"), newPeer(t, loopback4), newPeer(t, loopback4)
	relayed := c.allocate(0)
	c.must(c.bind(0x4000, p.addr), 0)
	c.must(c.bind(0x4000, p.addr), 0)
	c.must(c.bind(0x4000, q.addr), wire.BadRequest)
	c.must(c.bind(0x4001, p.addr), wire.BadRequest)
	c.must(c.bind(0x4001, q.addr), 0)
	c.sendOn(0x4000, "to p")
	p.want(relayed, "to p")
	c.sendOn(0x4001, "to q")
	q.want(relayed, "to q")
	q.send(relayed, "from q")
	c.wantChannel(0x4001, "from q")
}

// dropsOne asserts that the server drops one message for reason once do has run. It is for a synctest bubble.
func (ts *testServer) dropsOne(t testing.TB, reason DropReason, do func()) {
	t.Helper()
	before := testutil.ToFloat64(ts.drops[reason])
	do()
	synctest.Wait()
	if n := testutil.ToFloat64(ts.drops[reason]) - before; n != 1 {
		t.Errorf("%v after the start: %v messages were dropped as %v, want 1", time.Duration(ts.now()), n, reason)
	}
}

// aioice, aiortc and werift bind a channel, bind it again after 500 s, and never send CreatePermission. The channel's
// peer stays permitted in both directions until the channel ends, unless the peer policy changes.
func TestChannelKeepsItsPeerPermitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newMemoryNet()
		ts := serveInMemory(t, network, nil)
		c, p := ts.link(t, memoryHome), network.peer(memoryPeer)
		otherPort := network.peer(netip.AddrPortFrom(memoryPeer.Addr(), 10))
		relayed := c.allocate(0)
		start := time.Now()
		at := func(seconds int) { time.Sleep(time.Until(start.Add(time.Duration(seconds) * time.Second))) }
		arrives := func(peer *memoryConn, data string) {
			t.Helper()
			synctest.Wait()
			select {
			case d := <-peer.in:
				if d.from != relayed || string(d.payload) != data {
					t.Errorf("the peer got %q from %v, want %q", d.payload, d.from, data)
				}
			default:
				t.Errorf("%v after the start: %q was lost", time.Since(start), data)
			}
		}
		passes := func() {
			t.Helper()
			c.sendOn(0x4000, "on the channel")
			arrives(p, "on the channel")
			c.sendTo(otherPort.addr, "in an indication")
			arrives(otherPort, "in an indication")
			p.send(relayed, []byte("from the peer"))
			c.wantChannel(0x4000, "from the peer")
			otherPort.send(relayed, []byte("from its other port"))
			c.wantData(otherPort.addr, "from its other port")
		}
		isDropped := func(onChannel, reason DropReason) {
			t.Helper()
			ts.dropsOne(t, onChannel, func() { c.sendOn(0x4000, "on the channel") })
			ts.dropsOne(t, reason, func() { c.sendTo(otherPort.addr, "in an indication") })
			ts.dropsOne(t, reason, func() { p.send(relayed, []byte("from the peer")) })
			ts.dropsOne(t, reason, func() { otherPort.send(relayed, []byte("from its other port")) })
		}

		c.must(c.bind(0x4000, memoryPeer), 0)
		for _, seconds := range []int{1, 299, 301, 499} {
			at(seconds)
			passes()
		}
		at(500)
		c.must(c.do(wire.Refresh, func(b *wire.Builder) { b.Lifetime(maxLifetime) }), 0)
		c.must(c.bind(0x4000, memoryPeer), 0)
		passes()

		at(900) // 400 s after the last ChannelBind
		l := testLimits(t)
		l.Peers = append([]peer.Rule{{Prefix: netip.PrefixFrom(memoryPeer.Addr(), 32)}}, anyPeer...)
		if err := ts.SetLimits(l); err != nil {
			t.Fatal(err)
		}
		isDropped(DropPeerDenied, DropPeerDenied)
		l.Peers = anyPeer
		if err := ts.SetLimits(l); err != nil {
			t.Fatal(err)
		}
		passes()
		at(1099)
		passes()
		at(1101)
		isDropped(DropNoChannel, DropNoPermission)
		c.must(c.bind(0x4000, memoryPeer), 0)
		passes()
	})
}

// The permissions and channels of an allocation are limited. At the limit, existing ones can still be refreshed.
func TestCapsOfAnAllocation(t *testing.T) {
	ts := serve(t, func(o *Options, l *Limits) { relayApart(o, l); l.Permissions, l.Channels = 3, 2 })
	c := ts.dial(t, "udp4")
	c.allocate(0)
	at := func(i byte) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, 1, i}), 9) }
	c.must(c.permit(at(1), at(2), at(3), at(4)), wire.InsufficientCapacity)
	c.must(c.permit(at(1), at(2)), 0)
	c.must(c.permit(at(1), at(2), at(3), at(1)), 0)
	c.must(c.permit(at(4)), wire.InsufficientCapacity)
	c.must(c.permit(at(3)), 0)
	c.must(c.bind(0x4000, at(1)), 0)
	c.must(c.bind(0x4001, at(5)), wire.InsufficientCapacity) // for its permission
	c.must(c.bind(0x4001, at(2)), 0)
	c.must(c.bind(0x4002, at(3)), wire.InsufficientCapacity)
	c.must(c.bind(0x4001, at(2)), 0)
}

// A request may name as many peers of one family as an allocation may have permissions, and may name one peer many times.
func TestPermissionsForMany(t *testing.T) {
	ts := serveInMemory(t, newMemoryNet(), func(o *Options, l *Limits) {
		o.RelayAddrs = []RelayAddr{{Local: memoryRelay, Advertised: memoryRelay}, {Local: memoryRelay6, Advertised: memoryRelay6}}
		l.Permissions = 200
	})
	for name, at := range map[string]func(i int) netip.AddrPort{
		"IPv4": func(i int) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 9) },
		"IPv6": func(i int) netip.AddrPort {
			return netip.MustParseAddrPort(fmt.Sprintf("[2001:db8:1::%x]:9", i))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := ts.link(t, memoryHome)
			c.allocate(wire.FamilyOf(at(0).Addr()))
			var list []netip.AddrPort
			for i := range 200 {
				list = append(list, at(i))
			}
			c.must(c.permit(list...), 0)
			c.must(c.permit(at(0), at(200)), wire.InsufficientCapacity)
			c.must(c.permit(append(list, list...)...), 0)
			sess := c.conn.(*memoryLink).path.session(memoryHome)
			for _, p := range list {
				if _, ok := sess.flows.From(p, ts.now()); !ok {
					t.Errorf("%v is not permitted", p)
				}
			}
		})
	}
}

// By default these peers are refused with 403, and counted in a metric by rule.
func TestForbiddenPeers(t *testing.T) {
	ts := serve(t, func(o *Options, l *Limits) {
		o.RelayAddrs = []RelayAddr{{Local: own4, Advertised: own4}, {Local: loopback6, Advertised: netip.MustParseAddr("2606:4700::7")}}
		l.Peers = []peer.Rule{{Prefix: netip.MustParsePrefix("198.41.0.0/16")}}
		l.OwnAddrs = []netip.Addr{netip.MustParseAddr("198.97.190.53"), netip.MustParseAddr("2606:4700::53")}
	})
	c := ts.dial(t, "udp4")
	c.login()
	c.must(c.do(wire.Allocate, additional), 0)
	i := uint16(0x4000)
	for _, a := range []string{
		"127.0.0.1", "0.0.0.0", "169.254.169.254", "10.0.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
		"198.41.0.4",                     // the operator's
		"198.97.190.53", "2606:4700::53", // own
		"::ffff:198.97.190.53", "64:ff9b::198.97.190.53", // own, in disguise
		"::", "fe80::1", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1",
		"::ffff:192.0.2.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b:1::127.0.0.1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe",
	} {
		addr := netip.AddrPortFrom(netip.MustParseAddr(a), 53)
		for name, m := range map[string]*wire.Message{"CreatePermission": c.permit(addr), "ChannelBind": c.bind(i, addr)} {
			if code(m) != wire.Forbidden {
				t.Errorf("%s for %v: %d", name, addr, code(m))
			}
			c.wellMade(m, m.Method)
		}
		i++
	}
	// The relay address may be permitted, because other clients are there. Its other ports are refused.
	for _, a := range []netip.Addr{own4, loopback6, netip.MustParseAddr("2606:4700::7")} {
		service := netip.AddrPortFrom(a, 53)
		c.must(c.permit(service), 0)
		c.must(c.bind(i, service), wire.Forbidden)
		ts.awaitDrop(t, DropPeerDenied, func() { c.sendTo(service, "to a service of the host") })
	}
	for _, a := range []string{"8.8.8.8:53", "[2620:fe::fe]:53"} {
		c.must(c.permit(netip.MustParseAddrPort(a)), 0)
		c.must(c.bind(i, netip.MustParseAddrPort(a)), 0)
		i++
	}
}

// With a rule for ports, the address can be permitted, and the denied port is refused by ChannelBind and for each packet. New rules apply
// to existing permissions and channels.
func TestRulesWithPorts(t *testing.T) {
	ts := serve(t, relayApart)
	c, p, q := ts.dial(t, "udp4"), newPeer(t, loopback4), newPeer(t, loopback4)
	relayed := c.allocate(0)
	c.must(c.bind(0x4000, p.addr), 0)
	c.must(c.bind(0x4001, q.addr), 0)
	tighter := testLimits(t)
	tighter.Peers = append(tighter.Peers, peer.Rule{Prefix: netip.PrefixFrom(loopback4, 32), Ports: peer.PortRange{Min: q.addr.Port(), Max: q.addr.Port()}})
	if err := ts.SetLimits(tighter); err != nil {
		t.Fatal(err)
	}
	ts.awaitDrop(t, DropPeerDenied, func() { c.sendOn(0x4001, "on a channel") })
	ts.awaitDrop(t, DropPeerDenied, func() { c.sendTo(q.addr, "in an indication") })
	ts.awaitDrop(t, DropPeerDenied, func() { q.send(relayed, "from the peer") })
	c.must(c.bind(0x4001, q.addr), wire.Forbidden)
	c.must(c.permit(q.addr), 0)
	c.sendOn(0x4000, "others pass")
	p.want(relayed, "others pass")
	if err := ts.SetLimits(testLimits(t)); err != nil {
		t.Fatal(err)
	}
	c.sendOn(0x4001, "again")
	q.want(relayed, "again")
}
