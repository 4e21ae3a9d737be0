package turnserver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"icebox/turnserver/credential"
	"icebox/turnserver/wire"
)

// dialFrom connects over UDP from the given address.
func (ts *testServer) dialFrom(t testing.TB, ip string) *client {
	t.Helper()
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(ip)}, net.UDPAddrFromAddrPort(ts.addrs["udp4"]))
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, conn)
}

// Allocations are limited for each user (486), each address (486) and in total (508). One that ends makes room.
func TestQuotas(t *testing.T) {
	tests := map[string]struct {
		edit     func(*Limits)
		fits     [][2]string // user and address
		user, ip string      // of one allocation above the limit
		want     wire.Code
		other    [2]string // user and address that can still allocate; empty if none can
	}{
		"user": {
			func(l *Limits) { l.AllocationsPerUser = 2 },
			[][2]string{{testUser, "127.0.0.1"}, {testUser, "127.0.0.3"}},
			testUser, "127.0.0.4", wire.AllocationQuotaReached, [2]string{"bob", "127.0.0.1"},
		},
		"address": {
			func(l *Limits) { l.AllocationsPerAddr = 2 },
			[][2]string{{testUser, "127.0.0.1"}, {"bob", "127.0.0.1"}},
			testUser, "127.0.0.1", wire.AllocationQuotaReached, [2]string{testUser, "127.0.0.3"},
		},
		"total": {
			func(l *Limits) { l.AllocationsTotal = 2 },
			[][2]string{{testUser, "127.0.0.1"}, {"bob", "127.0.0.3"}},
			testUser, "127.0.0.4", wire.InsufficientCapacity, [2]string{},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ts := serve(t, func(o *Options, l *Limits) { relayApart(o, l); tt.edit(l) })
			allocate := func(user, ip string, want wire.Code) *client {
				t.Helper()
				c := ts.dialFrom(t, ip)
				c.login()
				c.user = user
				m := c.do(wire.Allocate, udpTransport)
				c.must(m, want)
				c.wellMade(m, wire.Allocate)
				return c
			}
			var first *client
			for _, f := range tt.fits {
				if c := allocate(f[0], f[1], 0); first == nil {
					first = c
				}
			}
			allocate(tt.user, tt.ip, tt.want)
			if tt.other[0] != "" {
				allocate(tt.other[0], tt.other[1], 0)
			}
			first.must(first.do(wire.Refresh, attr(wire.AttrLifetime, 0, 0, 0, 0)), 0)
			allocate(tt.user, tt.ip, 0)
		})
	}
}

// Quotas hold when many clients allocate at once. When all have ended, the counts are 0.
func TestQuotaUnderRush(t *testing.T) {
	const limit, rush = 5, 40
	ts := serve(t, func(o *Options, l *Limits) { relayApart(o, l); l.AllocationsPerUser = limit })
	var granted, refused atomic.Int32
	var wg sync.WaitGroup
	for range rush {
		c := ts.dial(t, "tcp4")
		c.login()
		wg.Go(func() {
			switch code(c.do(wire.Allocate, udpTransport)) {
			case 0:
				granted.Add(1)
			case wire.AllocationQuotaReached:
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	if granted.Load() != limit || refused.Load() != rush-limit {
		t.Errorf("%d granted, %d refused", granted.Load(), refused.Load())
	}
	ts.End(func(*SessionInfo) bool { return true })
	ts.quota.mu.Lock()
	defer ts.quota.mu.Unlock()
	if ts.quota.total != 0 || len(ts.quota.users) != 0 || len(ts.quota.addrs) != 0 || len(ts.quota.origins) != 0 {
		t.Errorf("left over: %d, %v, %v, %v", ts.quota.total, ts.quota.users, ts.quota.addrs, ts.quota.origins)
	}
}

// An Allocate without a free port gets 508, and no port is lost.
func TestRelayPortsRunOut(t *testing.T) {
	taken := newPeer(t, own4) // as if another process used this port
	ts := serve(t, func(o *Options, l *Limits) {
		relayApart(o, l)
		o.RelayPorts = PortRange{taken.addr.Port(), taken.addr.Port()}
		l.AllocationsTotal = 10
	})
	c := ts.dial(t, "udp4")
	c.login()
	m := c.do(wire.Allocate, udpTransport)
	c.must(m, wire.InsufficientCapacity)
	c.wellMade(m, wire.Allocate)
	taken.conn.Close()
	m = c.do(wire.Allocate, udpTransport)
	c.must(m, 0)
	if got := relayedOf(t, m)[0]; got != netip.AddrPortFrom(own4, taken.addr.Port()) {
		t.Errorf("relayed %v", got)
	}
	d := ts.dial(t, "udp4")
	d.login()
	d.must(d.do(wire.Allocate, udpTransport), wire.InsufficientCapacity)
}

// Drain refuses new allocations with 508, does not affect the others, and returns when the last one has ended.
func TestDrain(t *testing.T) {
	ts := serve(t, relayApart)
	c, d, p := ts.dial(t, "udp4"), ts.dial(t, "tcp4"), newPeer(t, loopback4)
	relayed := c.allocate(0)
	d.login()
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ts.Drain(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("Drain with a session and no time: %v", err)
	}
	m := d.do(wire.Allocate, udpTransport)
	d.must(m, wire.InsufficientCapacity)
	d.wellMade(m, wire.Allocate)
	c.must(c.bind(0x4000, p.addr), 0)
	c.sendOn(0x4000, "calls go on")
	p.want(relayed, "calls go on")
	c.must(c.do(wire.Refresh, nil), 0)
	drained := make(chan error)
	go func() { drained <- ts.Drain(context.Background()) }()
	c.must(c.do(wire.Refresh, attr(wire.AttrLifetime, 0, 0, 0, 0)), 0)
	if err := <-drained; err != nil {
		t.Errorf("Drain: %v", err)
	}
	if err := ts.Drain(gone); err != nil {
		t.Errorf("Drain of an idle server: %v", err)
	}
}

// Credentials that were minted for one address share the bandwidth of that address, wherever they are used.
func TestBandwidthOfOrigin(t *testing.T) {
	q, l := newQuota(), &limits{Limits: Limits{AllocationsTotal: 9, AllocationsPerUser: 9, AllocationsPerAddr: 9, BandwidthPerAddr: 4000}}
	reserve := func(user, origin string, client netip.Addr) *quotaEntry {
		s, code := q.reserve(credential.Identity{User: user, Origin: origin}, client, l)
		if code != 0 {
			t.Fatal(code)
		}
		return s
	}
	one, other := reserve("alice", "here", own4), reserve("bob", "here", loopback4)
	elsewhere, none := reserve("carol", "there", loopback6), reserve("dave", "", netip.MustParseAddr("192.0.2.1"))
	for i, tt := range []struct {
		entry *quotaEntry
		want  bool
	}{{one, true}, {one, false}, {other, false}, {elsewhere, true}, {none, true}} {
		if got := tt.entry.pass(0, 900, bandwidthToPeer, l); got != tt.want {
			t.Errorf("packet %d passes: %v", i, got)
		}
	}
	for _, s := range []*quotaEntry{one, other, elsewhere, none} {
		s.release()
	}
	if q.total != 0 || len(q.users)+len(q.addrs)+len(q.origins) != 0 {
		t.Errorf("left over: %+v", q)
	}
}
