package turnserver

import (
	"net/netip"
	"testing"

	"icebox/turnserver/packetio"
	"icebox/turnserver/wire"
)

// bench is a server with two clients and no socket. Their packets are received and delivered by function calls, so that only the
// relay's own work is measured.
type bench struct {
	*testServer
	a, b   *client
	ra, rb netip.AddrPort
	path   *memoryPath // of a, and b
	packet *packetio.Packet
	got    int // bytes sent to clients
}

var (
	homeA = netip.MustParseAddrPort("198.51.100.1:5000")
	homeB = netip.MustParseAddrPort("198.51.100.2:5000")
	peerP = netip.MustParseAddrPort("192.0.2.1:9") // bound to channel 0x4000 of client a
	peerQ = netip.MustParseAddrPort("192.0.2.2:9") // without a channel
)

func newBench(t testing.TB) *bench {
	x := &bench{testServer: serveInMemory(t, newMemoryNet(), nil)}
	x.a, x.b = x.link(t, homeA), x.link(t, homeB)
	x.ra, x.rb = x.a.allocate(0), x.b.allocate(0)
	x.a.must(x.a.bind(0x4000, peerP), 0)
	x.a.must(x.a.permit(peerQ), 0)
	x.a.must(x.a.bind(0x4001, x.rb), 0)
	x.b.must(x.b.permit(x.ra), 0)
	// From now on, sent packets are only counted.
	x.path = x.a.conn.(*memoryLink).path
	x.path.sent = x.count
	x.b.conn.(*memoryLink).path.sent = x.count
	x.packet = packetio.NewPacket(datagramSize)
	return x
}

func (x *bench) count(_ netip.AddrPort, b []byte) { x.got += len(b) }

// fill makes b the payload of the packet.
func (x *bench) fill(b []byte) {
	n := copy(x.packet.Buf[packetio.Headroom:], b)
	x.packet.Off, x.packet.End = packetio.Headroom, packetio.Headroom+n
}

func channelFrame(number uint16, size int) []byte {
	b := make([]byte, wire.ChannelHeaderSize+size)
	wire.PutChannelHeader(b, number, size)
	return b
}

func (x *bench) session() *session { return x.path.session(homeA) }

// routes returns a function for each route of a packet through the relay. Each call relays one packet.
func (x *bench) routes() map[string]func() {
	const size = 1200
	onChannel, inside := channelFrame(0x4000, size), channelFrame(0x4001, size)
	indication := func(to netip.AddrPort) []byte {
		return message(wire.Indication, wire.Send, with(peers(to), attr(wire.AttrData, make([]byte, size)...)))
	}
	send, sendInside := indication(peerQ), indication(x.rb)
	payload := make([]byte, size)
	fromClient := func(b []byte) func() {
		return func() { x.fill(b); x.receive(x.path, homeA, x.packet) }
	}
	fromPeer := func(p netip.AddrPort) func() {
		return func() { x.fill(payload); x.deliver(x.session(), x.packet, p, false) }
	}
	return map[string]func(){
		"ChannelData to peer":            fromClient(onChannel),
		"Send indication to peer":        fromClient(send),
		"peer to channel":                fromPeer(peerP),
		"peer to Data indication":        fromPeer(peerQ),
		"ChannelData handed over":        fromClient(inside),
		"Send indication handed over":    fromClient(sendInside),
		"ChannelData on no channel":      fromClient(channelFrame(0x4FFF, size)),
		"Send without permission":        fromClient(indication(elsewhere4)),
		"peer without permission":        fromPeer(elsewhere4),
		"Binding request":                fromClient(message(wire.Request, wire.Binding, nil)),
		"Binding with fingerprint":       fromClient(wire.NewBuilder(nil, wire.Binding, wire.Request, newID()).Fingerprint().Bytes()),
		"Binding indication":             fromClient(message(wire.Indication, wire.Binding, nil)),
		"garbage":                        fromClient([]byte("\x00\x01garbage")),
		"ChannelData without allocation": func() { x.fill(onChannel); x.receive(x.path, homeB, x.packet) },
	}
}

// The relay allocates no memory for a packet, on any route and for any reason to drop it.
func TestPacketsAllocateNothing(t *testing.T) {
	x := newBench(t)
	for name, route := range x.routes() {
		t.Run(name, func(t *testing.T) {
			if n := testing.AllocsPerRun(200, route); n != 0 {
				t.Errorf("%v allocations a packet", n)
			}
		})
	}
	i := x.session().info(x.now())
	if i.ToPeerPackets != 4*201 || i.FromPeerPackets != 2*201 || x.got == 0 {
		t.Errorf("the packets did not pass: %+v, %d bytes", i, x.got)
	}

	// Peers that the policy allowed before and denies now.
	tighter := testLimits(t)
	tighter.Peers = nil
	if err := x.SetLimits(tighter); err != nil {
		t.Fatal(err)
	}
	before := dropCounts(x.testServer)[DropPeerDenied]
	for _, name := range []string{"ChannelData to peer", "Send indication to peer", "peer to channel", "peer to Data indication"} {
		if n := testing.AllocsPerRun(200, x.routes()[name]); n != 0 {
			t.Errorf("%s, denied: %v allocations a packet", name, n)
		}
	}
	if n := dropCounts(x.testServer)[DropPeerDenied] - before; n != 4*201 {
		t.Errorf("%v packets denied", n)
	}
}

func BenchmarkPacket(b *testing.B) {
	x := newBench(b)
	for name, route := range x.routes() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				route()
			}
		})
	}
}
