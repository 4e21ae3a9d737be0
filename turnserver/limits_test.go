package turnserver

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/turnserver/credential"
	"icebox/turnserver/wire"
)

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
			c.sendOn(0x4000, data) // the burst of a quarter of a second is 1,000 bytes
			p.want(relayed, data)
			ts.awaitDrop(t, DropBandwidth, func() { c.sendOn(0x4000, data) })
			p.send(relayed, data) // the other direction has its own limit
			c.wantChannel(0x4000, data)
			ts.awaitDrop(t, DropBandwidth, func() { p.send(relayed, data) })
		})
	}
}

// A retransmission of the Refresh that ended the session gets the same success response.
func TestReleaseIsRepeated(t *testing.T) {
	ts := serve(t, relayApart)
	c := ts.dial(t, "udp4")
	c.allocate(0)
	release := c.message(wire.Refresh, func(b *wire.Builder) { b.Lifetime(0) })
	c.must(c.exchange(release), 0)
	c.must(c.exchange(release), 0)
	c.must(c.do(wire.Refresh, nil), wire.AllocationMismatch)
}

// After a hundred wrong passwords for one user, an address gets no replies for that user for a while. Other users are
// answered at the same address.
func TestFailedAuthenticationsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := serveInMemory(t, newMemoryNet(), nil)
		c, other := ts.pipe(t, memoryHome, TCP), ts.pipe(t, memoryHome, TCP)
		c.login()
		c.password = "a guess"
		for range 100 {
			c.must(c.do(wire.Allocate, udpTransport), wire.Unauthorized)
		}
		for _, password := range []string{"a guess", testPass} { // a reply to the right one would reveal it
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

// A retransmission of an Allocate that was refused for lack of room is refused too, because its client may have left.
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

	// Rules that deny a peer apply to a channel that is already bound.
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

// Revoking a credential ends its sessions at once, and it cannot allocate again. Another credential of the same user can.
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
