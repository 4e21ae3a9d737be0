package turnserver

import (
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/pion/turn/v3"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/turnserver/wire"
)

// The tests in this file show two things. Where a comparison harms nobody, they run the
// same requests against stock pion/turn v3.0.3 and against icebox. Elsewhere they show
// that icebox's own guard holds, with input that is harmless to every other server.

// servePion starts stock pion/turn on a UDP socket, with its default peer policy. It closes
// the server when the test ends, and returns the socket's address.
func servePion(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback4, 0)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := turn.NewServer(turn.ServerConfig{
		Realm: testRealm,
		AuthHandler: func(user, realm string, _ net.Addr) ([]byte, bool) {
			return turn.GenerateAuthKey(user, realm, testPass), true
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            conn,
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1"},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close Pion's server: %v", err)
		}
	})
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// A challenge is not much longer than the request that draws it.
func TestChallengeAmplifiesLittle(t *testing.T) {
	const headers = 20 + 8 // IPv4 and UDP
	measure := func(t *testing.T, server netip.AddrPort) (payload, whole float64) {
		t.Helper()
		k := dial(t, "udp4", server)
		request := wire.NewBuilder(nil, wire.Allocate, wire.Request, newID()).Bytes()
		k.write(request)
		challenge := k.read()
		return float64(len(challenge)) / float64(len(request)), float64(len(challenge)+headers) / float64(len(request)+headers)
	}
	t.Run("pion", func(t *testing.T) {
		if payload, whole := measure(t, servePion(t)); payload < 5 || whole < 3 {
			t.Errorf("amplification factor %.1f, with headers %.1f", payload, whole)
		}
	})
	t.Run("icebox", func(t *testing.T) {
		if payload, whole := measure(t, serve(t, nil).addrs["udp4"]); payload > 4 || whole > 2.2 {
			t.Errorf("amplification factor %.1f, with headers %.1f", payload, whole)
		}
	})
}

// Without any configured rule, the host itself, its network and its cloud are not allowed as peers.
func TestPeersByDefault(t *testing.T) {
	addrs := []string{"127.0.0.1", "127.0.0.53", "0.0.0.0", "169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "224.0.0.1", "255.255.255.255"}
	ask := func(t *testing.T, server netip.AddrPort) (codes map[wire.Code]int, k *client, p *testPeer, relayed netip.AddrPort) {
		t.Helper()
		k, p, codes = dial(t, "udp4", server), newPeer(t, loopback4), make(map[wire.Code]int)
		relayed = k.allocate(0)
		for i, a := range addrs {
			to := netip.AddrPortFrom(netip.MustParseAddr(a), p.addr.Port())
			codes[code(k.permit(to))]++
			codes[code(k.bind(0x4000+uint16(i), to))]++
		}
		return codes, k, p, relayed
	}
	t.Run("pion", func(t *testing.T) {
		codes, k, p, relayed := ask(t, servePion(t))
		if codes[0] != 2*len(addrs) {
			t.Errorf("response codes %v", codes)
		}
		k.sendTo(p.addr, "to the host itself")
		p.want(relayed, "to the host itself")
		k.sendOn(0x4000, "on a channel")
		p.want(relayed, "on a channel")
	})
	t.Run("icebox", func(t *testing.T) {
		ts := serve(t, func(o *Options, l *Limits) { relayApart(o, l); l.Peers = nil })
		codes, k, p, relayed := ask(t, ts.addrs["udp4"])
		if codes[wire.Forbidden] != 2*len(addrs) {
			t.Errorf("response codes %v", codes)
		}
		ts.awaitDrop(t, DropNoPermission, func() { k.sendTo(p.addr, "to the host itself") })
		ts.awaitDrop(t, DropNoChannel, func() { k.sendOn(0x4000, "on a channel") })
		ts.awaitDrop(t, DropNoPermission, func() { p.send(relayed, "to the client") })
		k.wantNothing()
	})
}

// A XOR-PEER-ADDRESS whose length is not that of its family is refused, and the session goes on.
func TestPeerAddressesOfWrongLength(t *testing.T) {
	ts := serve(t, relayApart)
	for name, value := range map[string][]byte{
		"family and port only":   {0, 1, 0x12, 0x34},
		"IPv4 and a byte more":   {0, 1, 0x12, 0x34, 1, 2, 3, 4, 5},
		"IPv4 with IPv6's size":  append([]byte{0, 1}, make([]byte, 18)...),
		"IPv6 and 4 bytes more":  append([]byte{0, 2}, make([]byte, 22)...),
		"a family without a use": {0, 3, 0x12, 0x34, 1, 2, 3, 4},
	} {
		for _, transport := range []string{"udp4", "tcp4"} {
			t.Run(name+" over "+transport, func(t *testing.T) {
				k, p := ts.dial(t, transport), newPeer(t, loopback4)
				relayed := k.allocate(0)
				address := attr(wire.AttrXORPeerAddress, value...)
				k.must(k.do(wire.CreatePermission, address), wire.BadRequest)
				k.must(k.do(wire.ChannelBind, with(number(0x4000), address)), wire.BadRequest)
				ts.awaitDrop(t, DropMalformed, func() { k.write(message(wire.Indication, wire.Send, with(data("x"), address))) })
				k.wantNothing()
				k.must(k.permit(p.addr), 0)
				k.sendTo(p.addr, "still here")
				p.want(relayed, "still here")
			})
		}
	}
}

// A frame that arrives one byte at a time is read without using more stack for each byte.
func TestSlowFrameNeedsNoStack(t *testing.T) {
	const most = 128 << 10
	ts := serveInMemory(t, newMemoryNet(), nil)
	k := ts.pipe(t, memoryHome, TCP)
	k.exchange(message(wire.Request, wire.Binding, nil)) // the goroutines of the connection have started
	frame := message(wire.Request, wire.Binding, attr(wire.AttrSoftware, make([]byte, strangerFrame-24)...))
	last := len(frame) - 1
	before := stackInUse()
	for i := range frame[:last] {
		k.writeRaw(frame[i : i+1])
	}
	if after := stackInUse(); after > before+most {
		t.Errorf("%d bytes of stack in use, %d before", after, before)
	}
	k.writeRaw(frame[last:])
	k.read()
}

func stackInUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.StackInuse
}

// No message of a client without a credential, and no packet of a peer, writes a line into the log.
func TestGarbageIsNotLogged(t *testing.T) {
	const rounds, each = 20, 25
	var log syncBuffer
	ts := serve(t, func(o *Options, l *Limits) { relayApart(o, l); o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	k, p, garbage := ts.dial(t, "udp4"), newPeer(t, loopback4), ts.dial(t, "udp4")
	relayed := k.allocate(0)
	before := strings.Count(log.String(), "\n")
	for range rounds {
		for range each {
			garbage.write([]byte("\x00\x01 this is not STUN \n\n"))
		}
		ts.awaitDrop(t, DropNoPermission, func() {
			for range each {
				p.send(relayed, "nobody permitted this")
			}
		})
		garbage.wantNothing() // the server answers a request in between, so it keeps up
	}
	if n := testutil.ToFloat64(ts.drops[DropMalformed]); n != rounds*each {
		t.Errorf("%v datagrams were dropped as malformed, want %d", n, rounds*each)
	}
	if n := strings.Count(log.String(), "\n") - before; n != 0 {
		t.Errorf("%d lines were logged", n)
	}
}
