package turnserver

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"icebox/turnserver/packetio"
	"icebox/turnserver/wire"
)

// ferry sends packets from a client to its peer and back. It allocates no memory itself.
type ferry struct {
	client, peer net.Conn
	up, down     []byte // the packets of the client and of the peer
	in           []byte
	upSize       int // bytes of a packet that arrives at the peer
	downSize     int // bytes of a packet that arrives at the client
	lost         int // packets
}

const (
	lostAfter = time.Second // a loaded machine loses packets even on loopback
	tolerable = 20          // the test fails if more packets are lost
)

// newFerry connects a client over transport with a peer, through a channel or with indications.
func newFerry(t testing.TB, ts *testServer, transport string, channel bool, size int) *ferry {
	t.Helper()
	c := ts.dial(t, transport)
	relayed := c.allocate(0)
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(relayed))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	peer := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	peer = netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
	f := &ferry{client: c.conn, peer: conn, down: make([]byte, size), in: make([]byte, 4096), upSize: size}
	if channel {
		c.must(c.bind(0x4000, peer), 0)
		f.up = make([]byte, wire.ChannelHeaderSize+size)
		wire.PutChannelHeader(f.up, 0x4000, size)
		f.downSize = len(f.up)
	} else {
		c.must(c.permit(peer), 0)
		f.up = wire.NewBuilder(nil, wire.Send, wire.Indication, newID()).
			XORAddress(wire.AttrXORPeerAddress, peer).Attribute(wire.AttrData, f.down).Bytes()
		f.downSize = wire.DataHeader4 + size
	}
	return f
}

// carry sends burst packets to the peer and then as many to the client. It waits for each of them, up to lostAfter.
func (f *ferry) carry(t testing.TB, burst int) {
	send := func(c net.Conn, b []byte) {
		if err := c.SetWriteDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		for range burst {
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	await := func(c net.Conn, size int) {
		if err := c.SetReadDeadline(time.Now().Add(lostAfter)); err != nil {
			t.Fatal(err)
		}
		for left := burst; left > 0; left-- {
			_, err := io.ReadFull(c, f.in[:size])
			if err == nil {
				continue
			}
			if f.lost += left; f.lost > tolerable || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%d packets lost, at last by: %v", f.lost, err)
			}
			return
		}
	}
	send(f.client, f.up)
	await(f.peer, f.upSize)
	send(f.peer, f.down)
	await(f.client, f.downSize)
}

// serveOn returns a server with a UDP socket on 127.0.0.1 whose packets io reads and writes.
func serveOn(b *testing.B, io packetio.Loops) *testServer {
	b.Helper()
	s, err := New(Options{Realm: testRealm, RelayAddrs: []RelayAddr{{Local: own4, Advertised: own4}}}, testLimits(b))
	if err != nil {
		b.Fatal(err)
	}
	s.io = io
	b.Cleanup(func() { _ = s.Close() })
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback4, 0)))
	if err == nil {
		err = s.AddUDP(c, UDPOptions{})
	}
	if err != nil {
		b.Fatal(err)
	}
	return &testServer{Server: s, addrs: map[string]netip.AddrPort{"udp4": c.LocalAddr().(*net.UDPAddr).AddrPort()}}
}

// BenchmarkRelay relays bursts in both directions through real sockets. The time is that of one packet. It includes the client and the
// peer, which are the same for both implementations.
func BenchmarkRelay(b *testing.B) {
	for _, shape := range []struct {
		name        string
		size, burst int
	}{{"1000B-8", 1000, 8}, {"160B-1", 160, 1}} {
		for name, loops := range map[string]func() packetio.Loops{
			"loops":    func() packetio.Loops { return packetio.New(1) },
			"portable": packetio.Portable,
		} {
			b.Run(shape.name+"/"+name, func(b *testing.B) {
				f := newFerry(b, serveOn(b, loops()), "udp4", true, shape.size)
				b.ReportAllocs()
				b.ResetTimer()
				for n := 0; n < b.N; n += 2 * shape.burst {
					f.carry(b, shape.burst)
				}
			})
		}
	}
}

// BenchmarkSession creates and releases an allocation through real sockets. The time includes that of the client.
func BenchmarkSession(b *testing.B) {
	c := serveOn(b, packetio.New(1)).dial(b, "udp4")
	c.login() // once, because challenges are limited for each address
	peer := netip.AddrPortFrom(loopback4, 9)
	b.ReportAllocs()
	for b.Loop() {
		c.must(c.do(wire.Allocate, udpTransport), 0)
		c.must(c.permit(peer), 0)
		c.must(c.bind(0x4000, peer), 0)
		c.must(c.do(wire.Refresh, func(b *wire.Builder) { b.Lifetime(600 * time.Second) }), 0)
		c.must(c.do(wire.Refresh, func(b *wire.Builder) { b.Lifetime(0) }), 0)
	}
}

// poolsForget is true if a sync.Pool drops some of the values put into it.
var poolsForget bool

// The server allocates no memory for a relayed packet. DTLS is not tested, because Pion handles its records.
func TestRelayAllocatesNothing(t *testing.T) {
	for _, transport := range []string{"udp4", "udp6", "tcp4"} {
		for name, channel := range map[string]bool{"channel": true, "indication": false} {
			t.Run(transport+" "+name, func(t *testing.T) {
				f := newFerry(t, serve(t, relayApart), transport, channel, 160)
				f.carry(t, 8)
				n := testing.AllocsPerRun(200, func() { f.carry(t, 8) })
				if n >= 1 && (!poolsForget || transport != "tcp4") {
					t.Errorf("%v allocations for 16 packets", n)
				}
			})
		}
	}
}
