package turnserver

import (
	"bytes"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/turnserver/credential"
	"icebox/turnserver/engine"
	"icebox/turnserver/wire"
)

// A request that is sent twice gets the same bytes twice, and is executed once.
func TestRetransmission(t *testing.T) {
	ts := serve(t, relayApart)
	for transport, kind := range map[string]Transport{"udp4": UDP, "tcp4": TCP} {
		t.Run(transport, func(t *testing.T) {
			c := ts.dial(t, transport)
			c.login()
			twice := func(name string, request []byte, want wire.Code) {
				t.Helper()
				c.write(request)
				first := bytes.Clone(c.read())
				var m wire.Message
				if err := wire.Parse(first, &m); err != nil || code(&m) != want {
					t.Fatalf("%s: %x, %v", name, first, err)
				}
				c.write(request)
				if again := c.read(); !bytes.Equal(again, first) {
					t.Errorf("%s: %x, then %x", name, first, again)
				}
			}
			allocate := c.message(wire.Allocate, udpTransport)
			twice("allocate", allocate, 0)
			twice("permission", c.message(wire.CreatePermission, peers(elsewhere4)), 0)
			twice("forbidden", c.message(wire.CreatePermission, peers(forbidden4)), wire.Forbidden)
			twice("still the allocate", allocate, 0)
			twice("bind", c.message(wire.ChannelBind, with(number(0x4000), peers(elsewhere4))), 0)
			twice("refresh", c.message(wire.Refresh, nil), 0)
			twice("second allocate", c.message(wire.Allocate, udpTransport), wire.AllocationMismatch)
			if n := testutil.ToFloat64(ts.started[kind]); n != 1 {
				t.Errorf("%v allocations", n)
			}
			release := c.message(wire.Refresh, attr(wire.AttrLifetime, 0, 0, 0, 0))
			twice("release", release, 0)
		})
	}
}

// An allocation belongs to the user who created it. Other users get an error that is signed with their own key, and change nothing.
func TestOtherUsersOnA5Tuple(t *testing.T) {
	ts := serve(t, relayApart)
	c, p := ts.dial(t, "udp4"), newPeer(t, loopback4)
	relayed := c.allocate(0)
	c.must(c.permit(p.addr), 0)
	bob := *c
	bob.user = "bob"
	for name, tt := range map[string]struct {
		method wire.Method
		attrs  attrs
		want   wire.Code
	}{
		"refresh":            {wire.Refresh, nil, wire.WrongCredentials},
		"release":            {wire.Refresh, attr(wire.AttrLifetime, 0, 0, 0, 0), wire.WrongCredentials},
		"permission":         {wire.CreatePermission, peers(elsewhere4), wire.WrongCredentials},
		"bind":               {wire.ChannelBind, with(number(0x4000), peers(elsewhere4)), wire.WrongCredentials},
		"441 before 400":     {wire.CreatePermission, nil, wire.WrongCredentials},
		"420 before 441":     {wire.Refresh, alien(), wire.UnknownAttribute},
		"allocate":           {wire.Allocate, udpTransport, wire.AllocationMismatch},
		"allocate, no UDP":   {wire.Allocate, protocol(6), wire.AllocationMismatch},
		"refresh, malformed": {wire.Refresh, attr(wire.AttrLifetime, 1), wire.WrongCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			m := bob.do(tt.method, tt.attrs)
			bob.must(m, tt.want)
			bob.wellMade(m, tt.method)
		})
	}
	mallory := *c
	mallory.password = "guess"
	mallory.must(mallory.do(wire.Refresh, attr(wire.AttrLifetime, 0, 0, 0, 0)), wire.Unauthorized)
	c.sendTo(p.addr, "alive")
	p.want(relayed, "alive")
	c.must(c.do(wire.Refresh, nil), 0)
}

// Lifetimes are limited to the range from 600 s to 3599 s. The lifetime in the response is the one that applies.
func TestLifetimes(t *testing.T) {
	lifetime := func(s uint32) attrs { return attr(wire.AttrLifetime, binary.BigEndian.AppendUint32(nil, s)...) }
	ts := serve(t, relayApart)
	granted := func(m *wire.Message) uint32 {
		v, _ := m.Get(wire.AttrLifetime)
		if code(m) != 0 || len(v) != 4 {
			t.Fatalf("answer %d, lifetime %x", code(m), v)
		}
		return binary.BigEndian.Uint32(v)
	}
	longest := uint32(engine.MaxLifetime / time.Second)
	for asked, want := range map[uint32]uint32{0: 600, 1: 600, 599: 600, 600: 600, 601: 601, 1800: 1800, 3599: 3599, 3600: longest, 100000: longest, 1<<32 - 1: longest} {
		c := ts.dial(t, "udp4")
		c.login()
		if got := granted(c.do(wire.Allocate, with(udpTransport, lifetime(asked)))); got != want {
			t.Errorf("Allocate for %d s: %d", asked, got)
		}
		if i := ts.Sessions()[0]; i.Expires > time.Duration(want)*time.Second || i.Expires < time.Duration(want-10)*time.Second {
			t.Errorf("Allocate for %d s: ends in %v", asked, i.Expires)
		}
		if asked == 0 {
			want = 0
		}
		if got := granted(c.do(wire.Refresh, lifetime(asked))); got != want {
			t.Errorf("Refresh for %d s: %d", asked, got)
		}
		if list := ts.Sessions(); asked == 0 && len(list) != 0 || asked != 0 && list[0].Expires < time.Duration(want-10)*time.Second {
			t.Errorf("Refresh for %d s: %+v", asked, list)
		}
		ts.End(func(*SessionInfo) bool { return true })
	}
	c := ts.dial(t, "udp4")
	c.login()
	if got := granted(c.do(wire.Allocate, udpTransport)); got != 600 {
		t.Errorf("Allocate without LIFETIME: %d", got)
	}
	if got := granted(c.do(wire.Refresh, nil)); got != 600 {
		t.Errorf("Refresh without LIFETIME: %d", got)
	}
}

// Attributes behind MESSAGE-INTEGRITY change nothing (RFC 8489 section 14.5).
func TestAttributesBehindIntegrity(t *testing.T) {
	ts := serve(t, relayApart)
	c := ts.dial(t, "udp4")
	c.allocate(0)
	behind := func(before, after attrs) attrs {
		return forge{user: testUser, realm: testRealm, nonce: c.nonce, before: before, behind: after}.write
	}
	c.must(c.exchange(unsigned(wire.CreatePermission, behind(peers(elsewhere4), alien()))), 0)
	c.must(c.exchange(unsigned(wire.Refresh, behind(nil, alien()))), 0)
	if n := len(ts.Sessions()); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// A nonce is valid for an hour. An allocation lives as long as it is refreshed, even after its credential has expired, but no longer than
// MaxSessionAge.
func TestTimePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := serveInMemory(t, newMemoryNet(), func(o *Options, l *Limits) {
			o.MaxSessionAge = 2 * time.Hour
			l.Credentials = sharing(t, "shared").Credentials
		})
		c := ts.link(t, memoryHome)
		c.user, c.password = timeLimited("shared", "joe", time.Now().Add(time.Minute))
		start := time.Now()
		c.allocate(0)
		stale := 0
		for time.Since(start) < 2*time.Hour {
			time.Sleep(590 * time.Second)
			m := c.do(wire.Refresh, nil)
			if code(m) == wire.StaleNonce {
				stale++
				nonce, _ := m.Get(wire.AttrNonce)
				c.nonce = string(nonce)
				m = c.do(wire.Refresh, nil)
			}
			if time.Since(start) > 2*time.Hour {
				c.must(m, wire.AllocationMismatch)
				break
			}
			c.must(m, 0)
		}
		if stale != 2 && stale != 1 { // at the first refresh after each hour
			t.Errorf("%d stale nonces in two hours", stale)
		}
		if n := len(ts.Sessions()); n != 0 || testutil.ToFloat64(ts.ended[EndTooOld]) != 1 {
			t.Errorf("%d sessions, %v ended for their age", n, testutil.ToFloat64(ts.ended[EndTooOld]))
		}
		c.login()
		c.must(c.do(wire.Allocate, udpTransport), wire.Unauthorized) // the credential has expired

		// A session that is not refreshed ends, and its packets are dropped.
		c.user, c.password = testUser, testPass
		c.login()
		c.must(c.do(wire.Allocate, udpTransport), 0)
		time.Sleep(599*time.Second + 500*time.Millisecond)
		c.must(c.do(wire.Refresh, nil), wire.AllocationMismatch) // too close to the expiry
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(ts.Sessions()); n != 0 || testutil.ToFloat64(ts.ended[EndExpired]) != 1 {
			t.Errorf("%d sessions, %v expired", n, testutil.ToFloat64(ts.ended[EndExpired]))
		}
		c.must(c.do(wire.Allocate, udpTransport), 0)
	})
}

// Limits change during calls: users and secrets that are removed keep their sessions, but cannot create new ones.
func TestSecretsRotate(t *testing.T) {
	ts := serve(t, func(o *Options, l *Limits) { relayApart(o, l); *l = sharing(t, "first") })
	p := newPeer(t, loopback4)
	oldUser, oldPassword := timeLimited("first", "joe", time.Now().Add(time.Hour))
	newUser, newPassword := timeLimited("second", "joe", time.Now().Add(time.Hour))
	dial := func(user, password string) *client {
		c := ts.dial(t, "udp4")
		c.login()
		c.user, c.password = user, password
		return c
	}
	live := []*client{dial(oldUser, oldPassword), dial(testUser, testPass)}
	for _, c := range live {
		c.must(c.do(wire.Allocate, udpTransport), 0)
	}
	if err := ts.SetLimits(Limits{Credentials: verifier(t, credential.VerifierOptions{Shared: [][]byte{[]byte("second")}}), Peers: allowLoopback}); err != nil {
		t.Fatal(err)
	}
	for _, c := range live {
		c.must(c.do(wire.Refresh, nil), 0)
		c.must(c.bind(0x4000, p.addr), 0)
		d := dial(c.user, c.password)
		d.must(d.do(wire.Allocate, udpTransport), wire.Unauthorized)
	}
	c := dial(newUser, newPassword)
	c.must(c.do(wire.Allocate, udpTransport), 0)
}
