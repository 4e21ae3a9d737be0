package turnserver

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/turnserver/credential"
	"icebox/turnserver/wire"
)

func testCompiled(t *testing.T, edit func(*Limits)) *limits {
	t.Helper()
	l := testLimits(t)
	edit(&l)
	o := Options{Realm: testRealm}
	o.setDefaults()
	c, err := newLimits(l, &o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A prefix gets its burst and then its rate, whatever other prefixes do.
func TestRepliesPerPrefix(t *testing.T) {
	l, r := testCompiled(t, func(l *Limits) { l.RepliesPerPrefix = 10 }), newReplyLimit()
	ask := func(a string, at time.Duration, times int) (granted int) {
		for range times {
			if r.allow(netip.MustParseAddr(a), int64(at), l) {
				granted++
			}
		}
		return granted
	}
	if n := ask("192.0.2.1", 0, 1000); n != 100 {
		t.Errorf("%d replies at once, want the burst of 100", n)
	}
	if n := ask("192.0.2.2", 0, 1000); n != 0 {
		t.Errorf("%d replies to a neighbour in a spent /24", n)
	}
	if n := ask("192.0.2.1", 2*time.Second, 1000); n != 20 {
		t.Errorf("%d replies after two seconds, want 20", n)
	}
	if n := ask("203.0.113.1", 0, 50) + ask("2001:db8::1", 0, 50); n != 100 {
		t.Errorf("%d replies to two other prefixes, want 100", n)
	}
}

// In a flood from everywhere, twice as much as is answered, the total holds, and who asks again gets through: with
// seven requests 127 of 128 clients do, on average.
func TestRepliesInTotal(t *testing.T) {
	l, r := testCompiled(t, func(l *Limits) { l.Replies = 25000 }), newReplyLimit()
	const flood, clients, requests = 50000, 400, 7
	granted, answered := 0, make(map[int]bool)
	for i := range 2 * flood {
		now := int64(i) * int64(time.Second) / flood
		if r.inTotal(now, int64(l.Replies)) && i >= flood {
			granted++
		}
		if n := i - flood; n >= 0 && n%(flood/clients/requests) == 0 && r.inTotal(now, int64(l.Replies)) {
			answered[n/(flood/clients/requests)%clients] = true
		}
	}
	if granted < 22000 || granted > 28000 {
		t.Errorf("%d replies in the second second of a flood, want about 25,000", granted)
	}
	if len(answered) < clients*19/20 {
		t.Errorf("%d of %d honest clients got through", len(answered), clients)
	}
	if !r.inTotal(int64(10*time.Second), int64(l.Replies)) {
		t.Error("the flood is over, and a reply is still refused")
	}
}

func TestBandwidth(t *testing.T) {
	for name, edit := range map[string]func(*Limits){
		"allocation": func(l *Limits) { l.BandwidthPerAllocation = 4000 },
		"user":       func(l *Limits) { l.BandwidthPerUser = 4000 },
		"address":    func(l *Limits) { l.BandwidthPerAddr = 4000 },
		"total":      func(l *Limits) { l.Bandwidth = 4000 },
	} {
		t.Run(name, func(t *testing.T) {
			ts := serve(t, func(o *Options, l *Limits) { relayApart(o, l); edit(l) })
			c, p := ts.dial(t, "udp4"), newPeer(t, loopback4)
			relayed := c.allocate(0)
			c.must(c.bind(0x4000, p.addr), 0)
			data := strings.Repeat("x", 900)
			c.sendOn(0x4000, data) // a quarter of a second's worth is 1,000 bytes
			p.want(relayed, data)
			ts.awaitDrop(t, DropBandwidth, func() { c.sendOn(0x4000, data) })
			p.send(relayed, data) // the other direction has its own
			c.wantChannel(0x4000, data)
			ts.awaitDrop(t, DropBandwidth, func() { p.send(relayed, data) })
		})
	}
}

// A Refresh that ended the session and is sent again gets its success again.
func TestReleaseIsRepeated(t *testing.T) {
	ts := serve(t, relayApart)
	c := ts.dial(t, "udp4")
	c.allocate(0)
	release := c.message(wire.Refresh, func(b *wire.Builder) { b.Lifetime(0) })
	c.must(c.exchange(release), 0)
	c.must(c.exchange(release), 0)
	c.must(c.do(wire.Refresh, nil), wire.AllocationMismatch)
}

// Who is wrong about a user's password a hundred times is not heard any more, for a while and about that user; others are,
// from the same address too.
func TestGuessesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := serveInMemory(t, newMemoryNet(), nil)
		c, other := ts.pipe(t, memoryHome, TCP), ts.pipe(t, memoryHome, TCP)
		c.login()
		c.password = "a guess"
		for range guessBurst / guessCost {
			c.must(c.do(wire.Allocate, udpTransport), wire.Unauthorized)
		}
		for _, password := range []string{"a guess", testPass} { // a right one would tell
			c.password = password
			before := testutil.ToFloat64(ts.drops[DropReplyRate])
			c.write(c.message(wire.Allocate, udpTransport))
			synctest.Wait()
			if n := testutil.ToFloat64(ts.drops[DropReplyRate]) - before; n != 1 {
				t.Errorf("%q: %v answers were dropped", password, n)
			}
		}
		other.user = "bob"
		other.allocate(0)
		time.Sleep(time.Second)
		c.must(c.do(wire.Allocate, udpTransport), 0)
	})
}

// An Allocate that was refused for want of room and is sent again is refused again: its client may have gone away.
func TestRefusalIsRepeated(t *testing.T) {
	ts := serve(t, func(o *Options, l *Limits) { relayApart(o, l); l.AllocationsPerUser = 1 })
	first, c := ts.dial(t, "udp4"), ts.dial(t, "udp4")
	first.allocate(0)
	c.login()
	refused := c.message(wire.Allocate, udpTransport)
	c.must(c.exchange(refused), wire.AllocationQuotaReached)
	first.must(first.do(wire.Refresh, func(b *wire.Builder) { b.Lifetime(0) }), 0)
	c.must(c.exchange(refused), wire.AllocationQuotaReached)
	c.must(c.do(wire.Allocate, udpTransport), 0)
}

func TestEndAndSetLimits(t *testing.T) {
	ts := serve(t, relayApart)
	c, p := ts.dial(t, "udp4"), newPeer(t, loopback4)
	relayed := c.allocate(0)
	c.must(c.bind(0x4000, p.addr), 0)
	c.sendOn(0x4000, "a")
	p.want(relayed, "a")

	// Rules that deny the peer act on a channel that is bound already.
	l := testLimits(t)
	l.Peers = nil
	if err := ts.SetLimits(l); err != nil {
		t.Fatal(err)
	}
	ts.awaitDrop(t, DropPeerDenied, func() { c.sendOn(0x4000, "b") })
	ts.awaitDrop(t, DropPeerDenied, func() { p.send(relayed, "c") })

	if n := ts.End(func(i *SessionInfo) bool { return i.User == testUser }); n != 1 {
		t.Errorf("ended %d sessions", n)
	}
	c.must(c.do(wire.Refresh, nil), wire.AllocationMismatch)
}

// A revoked credential loses its sessions at once and can't allocate again; another one of the same user can.
func TestRevoke(t *testing.T) {
	secret := []byte("the daemon's own secret")
	ts := serve(t, func(o *Options, l *Limits) {
		relayApart(o, l)
		l.Credentials = verifier(t, credential.VerifierOptions{Own: secret})
	})
	minter := credential.NewMinter(secret)
	login := func(cred credential.Credential) *client {
		c := ts.dial(t, "udp4")
		c.user, c.password = cred.Username, cred.Password
		c.login()
		return c
	}
	mint := func() credential.Credential {
		cred, err := minter.Mint("alice", time.Hour, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return cred
	}
	bad, good := mint(), mint()
	c := login(bad)
	c.must(c.do(wire.Allocate, udpTransport), 0)
	if n := ts.Revoke(bad.ID, bad.Expires); n != 1 {
		t.Errorf("ended %d sessions", n)
	}
	c.must(c.do(wire.Refresh, nil), wire.AllocationMismatch)
	c.must(c.do(wire.Allocate, udpTransport), wire.Unauthorized)
	d := login(good)
	d.must(d.do(wire.Allocate, udpTransport), 0)
}
