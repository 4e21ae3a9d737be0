package abuse

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/stun"
	"icebox/deploy/e2e/abuse/turn"
)

// public is the daemon's public address. It is not a special-purpose address, so only the rule about own addresses can
// deny it. No packet is sent there.
const public = "193.0.14.7"

// forbidden4 and forbidden6 have addresses of every special-purpose network, and IPv4 addresses in each IPv6 notation.
var (
	forbidden4 = []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.0.0.2", "127.255.255.254",
		"169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.254", "192.0.0.8", "192.0.0.170", "192.0.2.1", "192.31.196.1",
		"192.52.193.1", "192.88.99.1", "192.168.0.1", "192.168.255.254", "192.175.48.1", "198.18.0.1", "198.19.255.254", "198.51.100.1",
		"203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.254", "255.255.255.255", public,
	}
	forbidden6 = []string{
		"::", "::1", "::2", "::127.0.0.1", "::10.0.0.1", "::8.8.8.8", // IPv4-compatible
		"::ffff:192.0.2.1", "::ffff:198.51.100.1", "::ffff:203.0.113.1", "::ffff:8.8.8.8", "::ffff:" + public, // mapped
		"::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", // translated
		"64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::" + public, "64:ff9b:1::127.0.0.1", "64:ff9b:1:ffff::10.0.0.1", // NAT64
		"2002:7f00:1::", "2002:7f00:1::1", "2002:a9fe:a9fe::1", "2002:a00:1::1", // 6to4
		"2001::80ff:fffe", "2001:0:808:808::f5ff:fffe", "2001:0:7f00:1::", // Teredo: 127.0.0.1 and 10.0.0.1 inverted, and as the server
		"100::1", "100:0:0:1::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2620:4f:8000::1", "3fff::1", "5f00::1",
		"fc00::1", "fd00:ec2::254", "fe80::1", "fe80::a9fe:a9fe", "febf::1", "fec0::1", "ff02::1", "ff05::2", "ff0e::1",
	}
)

// CreatePermission and ChannelBind for a forbidden peer get 403, on relays of both families, over UDP and TCP.
func TestForbiddenPeers(t *testing.T) {
	b := start(t, settings{peers: "[]", extra: fmt.Sprintf("external_ip: [{public: %s, private: 127.0.0.1}]", public)})
	own4, own6 := interfaces(t)
	for name, tt := range map[string]struct {
		transport turn.Transport
		family    byte
		from      netip.Addr
		peers     []string
		other     []string // peers of the other family
	}{
		"IPv4 relay":                 {turn.UDP, 1, crowdAddr, append(own4, forbidden4...), forbidden6},
		"IPv6 relay":                 {turn.UDP, 2, here6, append(own6, forbidden6...), forbidden4},
		"IPv4 relay, TCP":            {turn.TCP, 1, crowdAddr, forbidden4, nil},
		"IPv6 relay of IPv4 clients": {turn.TCP, 2, crowdAddr, forbidden6, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := b.dial(t, tt.transport, tt.from, "prober")
			relayed, err := c.Allocate(turn.Family(tt.family))
			if err != nil || relayed.Addr().Is4() != (tt.family == 1) {
				t.Fatalf("relayed address %v, %v", relayed, err)
			}
			for _, p := range tt.peers {
				probe(t, c, p, 403, relayed.Addr())
			}
			for _, p := range tt.other {
				probe(t, c, p, 443, netip.Addr{})
			}
			for _, port := range append(b.ports(), 0, 22, 80, 53, relayed.Port()^1) {
				peer := netip.AddrPortFrom(relayed.Addr(), port)
				wantCode(t, fmt.Sprintf("ChannelBind to the daemon's own %v", peer), c.Bind(0x4001, peer), 403)
			}
		})
	}
}

// probe asks for a permission and for a channel, and wants both refused. CreatePermission allows the relay's own
// address, because relayed addresses of other clients may be there. TestOwnPorts shows that this is harmless.
func probe(t *testing.T, c *turn.Client, peer string, want int, relay netip.Addr) {
	t.Helper()
	a := netip.MustParseAddr(peer)
	for _, port := range []uint16{1, 80, 3478, 49152} {
		wantCode(t, fmt.Sprintf("ChannelBind to %s port %d", peer, port), c.Bind(0x4000, netip.AddrPortFrom(a, port)), want)
	}
	if a == relay || a == here4 && relay.Is4() || a == here6 && relay.Is6() {
		return
	}
	wantCode(t, "CreatePermission for "+peer, c.Permit(netip.AddrPortFrom(a, 9)), want)
	if want == 403 {
		good := netip.MustParseAddr("193.0.14.8")
		if a.Is6() {
			good = netip.MustParseAddr("2a00::8")
		}
		wantCode(t, "CreatePermission for "+peer+" behind an allowed one", c.Permit(netip.AddrPortFrom(good, 9), netip.AddrPortFrom(a, 9)), 403)
	}
}

// ports returns all ports on which the daemon listens.
func (b *box) ports() []uint16 {
	admin := netip.MustParseAddrPort(b.Admin)
	return []uint16{b.plain.Port(), b.secure.Port(), b.http.Port(), admin.Port()}
}

// interfaces returns the addresses of this host that are not loopback addresses. The daemon does not relay from them.
func interfaces(t *testing.T) (own4, own6 []string) {
	t.Helper()
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		p, err := netip.ParsePrefix(a.String())
		switch {
		case err != nil || p.Addr().IsLoopback():
		case p.Addr().Is4():
			own4 = append(own4, p.Addr().String())
		default:
			own6 = append(own6, p.Addr().String())
		}
	}
	return own4, own6
}

// A permission for the daemon's own address, and a rule that allows it, let a client reach relayed addresses there, and no
// other port.
func TestOwnPorts(t *testing.T) {
	b := start(t, settings{})
	service, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(here4, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	target := service.LocalAddr().(*net.UDPAddr).AddrPort()
	c, _ := b.allocate(t, turn.UDP, crowdAddr, "prober")
	other, relayed := b.allocate(t, turn.UDP, honest, "other")
	wantCode(t, "a permission for the relay's address", c.Permit(target), 0)
	wantCode(t, "a channel to a port of the relay's address", c.Bind(0x4000, target), 403)
	wantCode(t, "a channel to a live relayed address", c.Bind(0x4000, relayed), 0)
	wantCode(t, "a permission", other.Permit(relayed), 0)

	const packets = 50
	denied := b.Metric("icebox_turn_dropped_total", `reason="peer_denied"`)
	for range packets {
		for _, to := range []netip.AddrPort{target, b.plain, b.secure} {
			if err := c.SendTo(to, bareAllocate()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.SendOn(0x4000, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got, err := other.Receive(patience); err != nil {
		t.Errorf("the other client received %x, %v", got, err)
	}
	if n := b.Metric("icebox_turn_dropped_total", `reason="peer_denied"`) - denied; n != 3*packets {
		t.Errorf("%v packets were denied, want %d", n, 3*packets)
	}
	// This must be the first packet that the service receives.
	last := []byte("the last one")
	if _, err := service.WriteToUDPAddrPort(last, target); err != nil {
		t.Fatal(err)
	}
	if err := service.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 100)
	if n, from, err := service.ReadFromUDPAddrPort(got); err != nil || string(got[:n]) != string(last) {
		t.Errorf("the service on the daemon's host received %x from %v, %v", got[:n], from, err)
	}
}

// Malformed peer addresses are refused with 400.
func TestMalformedPeers(t *testing.T) {
	b := start(t, settings{})
	c, _ := b.allocate(t, turn.UDP, crowdAddr, "prober")
	for name, value := range map[string][]byte{
		"family and port only":   {0, 1, 1, 2},
		"family 0":               {0, 0, 1, 2, 3, 4, 5, 6},
		"family 3":               {0, 3, 1, 2, 3, 4, 5, 6},
		"IPv4 with IPv6's size":  append([]byte{0, 1}, make([]byte, 18)...),
		"IPv6 with IPv4's size":  {0, 2, 1, 2, 3, 4, 5, 6},
		"IPv4 and a byte more":   {0, 1, 1, 2, 3, 4, 5, 6, 7},
		"IPv6 less its last two": append([]byte{0, 2}, make([]byte, 16)...),
	} {
		for typ, attrs := range map[uint16][]stun.Attr{stun.CreatePermission: nil, stun.ChannelBind: {stun.Channel(0x4000)}} {
			_, err := c.Request(typ, append(attrs, stun.Attr{Type: stun.XORPeerAddress, Value: value})...)
			wantCode(t, fmt.Sprintf("%s, method %d", name, typ), err, 400)
		}
	}
}
