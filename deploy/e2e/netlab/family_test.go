package netlab_test

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/stun"
	"icebox/deploy/e2e/abuse/turn"
	"icebox/deploy/e2e/netlab"
	"icebox/deploy/e2e/server"
)

// relayed is what a client gets for an Allocate: the host of its relayed address, or the code that refuses it.
type relayed struct {
	addr netip.Addr
	code int
}

// TestFamilies has the daemon on hosts that lack a family, a default route, or any address but loopback. It shows which
// relayed addresses clients get, which peers they may have, and that the daemon names the addresses it relays from.
func TestFamilies(t *testing.T) {
	v4, v6, loopback := netlab.PublicV4, netlab.PublicV6, netip.MustParseAddr("127.0.0.1")
	const docker, refused = "172.17.0.1/16", 440
	const lastResort = "as a last resort"
	for name, tt := range map[string]struct {
		lab                      netlab.Options
		config                   string
		also                     []string   // a command for the host of the daemon
		client                   string     // the host it is on
		reach                    netip.Addr // the address of the daemon that it uses
		noFamily, asked4, asked6 relayed
		says, doesNotSay         string
	}{
		"IPv6 only": {
			lab: netlab.Options{Office: []netip.Addr{v6}}, client: netlab.Left, reach: v6,
			noFamily: relayed{addr: v6}, asked4: relayed{code: refused}, asked6: relayed{addr: v6},
			says: "relays from 2600:3c01:0:3::2 (IPv6 only", doesNotSay: lastResort,
		},
		"IPv6 only, with a container bridge": {
			lab: netlab.Options{Office: []netip.Addr{v6}, Bridge: docker}, client: netlab.Left, reach: v6,
			noFamily: relayed{addr: v6}, asked4: relayed{code: refused}, asked6: relayed{addr: v6},
			says: "relays from 2600:3c01:0:3::2 (IPv6 only", doesNotSay: lastResort,
		},
		"IPv4 only, with a container bridge": {
			lab: netlab.Options{Office: []netip.Addr{v4}, Bridge: docker}, client: netlab.Left, reach: v4,
			noFamily: relayed{addr: v4}, asked4: relayed{addr: v4}, asked6: relayed{code: refused},
			says: "relays from 45.33.3.2 (IPv4 only", doesNotSay: lastResort,
		},
		"both families": {
			lab: netlab.Options{Bridge: docker}, client: netlab.Left, reach: v6,
			noFamily: relayed{addr: v4}, asked4: relayed{addr: v4}, asked6: relayed{addr: v6},
			says: "relays from 45.33.3.2, 2600:3c01:0:3::2\n", doesNotSay: lastResort,
		},
		"no default route": {
			lab: netlab.Options{Office: []netip.Addr{v4}, NoRoute: true, Bridge: docker}, client: netlab.Inet, reach: v4,
			noFamily: relayed{addr: v4}, asked4: relayed{addr: v4}, asked6: relayed{code: refused},
			says: "no interface has a default route, so TURN relays from 45.33.3.2 " + lastResort,
		},
		"loopback alone": {
			lab: netlab.Options{Office: []netip.Addr{}}, client: netlab.VPS, reach: loopback,
			noFamily: relayed{addr: loopback}, asked4: relayed{addr: loopback}, asked6: relayed{addr: netip.IPv6Loopback()},
			says: "this host has only loopback addresses, so TURN relays from 127.0.0.1, ::1 " + lastResort,
		},
		"two default routes": {
			lab: netlab.Options{Office: []netip.Addr{v4}, Bridge: docker}, client: netlab.Left, reach: v4,
			also:     []string{"ip", "route", "add", "default", "via", "172.17.0.2", "dev", "docker0", "metric", "2000"},
			noFamily: relayed{addr: v4}, asked4: relayed{addr: v4}, asked6: relayed{code: refused},
			says: "relays from 45.33.3.2, 172.17.0.1 (IPv4 only", doesNotSay: lastResort,
		},
		"the bridge is configured": {
			lab: netlab.Options{Office: []netip.Addr{v6}, Bridge: docker}, config: ", relay_addresses: [172.17.0.1]", client: netlab.Left, reach: v6,
			noFamily: relayed{addr: netip.MustParseAddr("172.17.0.1")}, asked4: relayed{addr: netip.MustParseAddr("172.17.0.1")}, asked6: relayed{code: refused},
			says: "relays from 172.17.0.1 (IPv4 only", doesNotSay: lastResort,
		},
	} {
		t.Run(name, func(t *testing.T) {
			tt.lab.Name = "icebox.test"
			lab := netlab.New(t, tt.lab)
			if len(tt.also) > 0 {
				if out, err := lab.Host(netlab.VPS).Command(t.Context(), tt.also...).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			daemon := server.StartIcebox(t, server.IceboxOptions{
				Host: lab.Host(netlab.VPS), Config: "turn: {users: [{name: u, password: p}]" + tt.config + "}\nshutdown: {drain: 1ms}",
			})
			for _, transport := range []string{"udp", "tcp"} {
				d := dialer{t, lab.Host(tt.client), transport, netip.AddrPortFrom(tt.reach, 3478)}
				d.want(tt.noFamily)
				d.want(tt.asked4, turn.Family(1))
				d.want(tt.asked6, turn.Family(2))
				d.wantAdditional(tt.noFamily.addr, tt.asked6.addr)
				if !tt.noFamily.addr.IsLoopback() {
					d.wantNoLoopback(tt.noFamily.addr.Is4())
				}
			}
			if log := daemon.Log(); !strings.Contains(log, tt.says) || tt.doesNotSay != "" && strings.Contains(log, tt.doesNotSay) {
				t.Errorf("the daemon should say %q, and should not say %q:\n%s", tt.says, tt.doesNotSay, log)
			}
		})
	}
}

// dialer makes clients of one daemon.
type dialer struct {
	t         *testing.T
	from      netlab.Host
	transport string
	to        netip.AddrPort
}

func (d dialer) client() *turn.Client {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := d.from.Dial(ctx, d.transport, d.to.String())
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = conn.Close() })
	return turn.New(conn, turn.Login{User: "u", Password: "p"})
}

// want checks what an Allocate with more attributes gets.
func (d dialer) want(want relayed, attrs ...stun.Attr) {
	d.t.Helper()
	got := relayed{}
	a, err := d.client().Allocate(attrs...)
	var refused *turn.Refused
	if errors.As(err, &refused) {
		got.code = refused.Code
	} else if err != nil {
		d.t.Fatal(err)
	}
	if got.addr = a.Addr(); got != want {
		d.t.Errorf("%s %v: got %v and code %d, want %v and %d", d.transport, attrs, got.addr, got.code, want.addr, want.code)
	}
}

// wantAdditional checks an Allocate that asks for an IPv6 address beside the IPv4 one: it succeeds, and a family that the
// daemon does not have is named in an ADDRESS-ERROR-CODE.
func (d dialer) wantAdditional(first, v6 netip.Addr) {
	d.t.Helper()
	c := d.client()
	if err := c.SignIn(); err != nil {
		d.t.Fatal(err)
	}
	m, err := c.Request(stun.Allocate, stun.UDPTransport(), stun.Uint32(stun.AdditionalAddressFamily, 2<<24))
	if err != nil {
		d.t.Fatalf("%s: an additional address: %v", d.transport, err)
	}
	var want []byte
	switch {
	case first.Is6():
		want = []byte{1, 0, 4, 40}
	case !v6.IsValid():
		want = []byte{2, 0, 4, 40}
	}
	if got := m.Get(stun.AddressErrorCode); !bytes.HasPrefix(got, want) || (got == nil) != (want == nil) {
		d.t.Errorf("%s: ADDRESS-ERROR-CODE is %x, want %x", d.transport, got, want)
	}
	if a, ok := m.Address(stun.XORRelayedAddress); !ok || a.Addr() != first {
		d.t.Errorf("%s: relayed address %v, want %v first", d.transport, a, first)
	}
}

// wantNoLoopback checks that a client with a relayed address of a family may not have the host's loopback address as a peer.
func (d dialer) wantNoLoopback(v4 bool) {
	d.t.Helper()
	c, peer := d.client(), netip.MustParseAddrPort("[::1]:9641")
	if v4 {
		peer = netip.MustParseAddrPort("127.0.0.1:9641")
	}
	if _, err := c.Allocate(); err != nil {
		d.t.Fatal(err)
	}
	for what, err := range map[string]error{"CreatePermission": c.Permit(peer), "ChannelBind": c.Bind(0x4000, peer)} {
		var refused *turn.Refused
		if !errors.As(err, &refused) || refused.Code != 403 {
			d.t.Errorf("%s: %s for %s: %v, want 403", d.transport, what, peer, err)
		}
	}
}
