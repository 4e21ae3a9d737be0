package turnserver

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"icebox/turnserver/engine"
	"icebox/turnserver/wire"
)

// seeds returns messages as browsers, coturn's client and libnice send them, and malformed ones.
func seeds() [][]byte {
	const (
		priority, useCandidate, iceControlling, networkInfo = 0x0024, 0x0025, 0x802A, 0xC057
		bandwidth, mobilityTicket, responseOrigin           = 0x0010, 0x8030, 0x802B
	)
	peer := netip.MustParseAddrPort("192.0.2.1:9")
	peer6 := netip.MustParseAddrPort("[2001:db8::1]:9")
	sign := func(b *wire.Builder) {
		forge{user: testUser, realm: testRealm, nonce: "AAAAAAAAAAAAAAAAAAAAAA"}.write(b)
	}
	fingerprint := func(b *wire.Builder) { b.Fingerprint() }
	text := func(typ wire.AttrType, s string) attrs { return func(b *wire.Builder) { b.Text(typ, s) } }
	request := func(m wire.Method, list ...attrs) []byte { return message(wire.Request, m, with(list...)) }
	list := [][]byte{
		// libwebrtc: gathering, connectivity checks, TURN.
		request(wire.Binding),
		request(wire.Binding, text(wire.AttrUsername, "abcd:efgh"), attr(networkInfo, 0, 1, 0, 10), attr(iceControlling, 1, 2, 3, 4, 5, 6, 7, 8),
			attr(useCandidate), attr(priority, 0x6E, 0, 1, 0xFF), func(b *wire.Builder) { b.Integrity([]byte("ice-pwd")).Fingerprint() }),
		request(wire.Allocate, protocol(17)),
		request(wire.Allocate, protocol(17), sign),
		request(wire.Refresh, attr(wire.AttrLifetime, 0, 0, 0, 0), sign),
		request(wire.CreatePermission, peers(peer), sign),
		request(wire.ChannelBind, number(0x4000), peers(peer), sign),
		message(wire.Indication, wire.Send, with(peers(peer), data("hello"))),
		// nICEr (Firefox).
		request(wire.Allocate, attr(wire.AttrLifetime, 0, 0, 0x0E, 0x10), protocol(17), attr(wire.AttrDontFragment), sign),
		request(wire.Binding, text(wire.AttrSoftware, "nICEr"), fingerprint),
		// turnutils_uclient.
		request(wire.Allocate, text(wire.AttrSoftware, "Coturn-4.6.1 'Gorst'"), attr(wire.AttrLifetime, 0, 0, 3, 9), protocol(17), attr(wire.AttrEvenPort, 0x80), attr(wire.AttrDontFragment), fingerprint),
		request(wire.Allocate, protocol(17), attr(wire.AttrAdditionalAddressFamily, 2, 0, 0, 0), attr(mobilityTicket), sign, fingerprint),
		request(wire.Allocate, protocol(17), attr(wire.AttrReservationToken, 1, 2, 3, 4, 5, 6, 7, 8), sign, fingerprint),
		request(wire.CreatePermission, peers(peer, peer6), sign, fingerprint),
		message(wire.Indication, wire.Send, with(attr(wire.AttrDontFragment), peers(peer6), data("uclient"), fingerprint)),
		// libnice, with its compatibility modes.
		request(wire.Allocate, text(wire.AttrSoftware, "libnice 0.1.22"), protocol(17), attr(bandwidth, 0, 0, 0, 99), fingerprint),
		request(wire.Refresh, family(1), sign, fingerprint),
		message(wire.Indication, wire.Binding, fingerprint),
		message(wire.Success, wire.Binding, attr(responseOrigin, 0, 1, 0, 9, 1, 2, 3, 4)),
		// Malformed: an address of the wrong length, and lengths beyond the end of the message.
		message(wire.Indication, wire.Send, with(data("01234567"), attr(wire.AttrXORPeerAddress, 0, 1, 0x12, 0x34))),
		request(wire.CreatePermission, attr(wire.AttrXORPeerAddress, 0, 1, 0x12, 0x34, 1, 2, 3, 4, 5), sign),
		{0, 1, 0x0F, 0x00, 0x21, 0x12, 0xA4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		{0x40, 0, 0x0F, 0x00, 0, 0, 0, 0, 0},
		// Other protocols on the same port: RTP, DTLS.
		{0x80, 0x60, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3},
		{22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1},
	}
	for _, size := range []int{0, 1, 4, 160} {
		list = append(list, append(channelFrame(0x4000, size), make([]byte, wire.Pad4(size)-size)...))
	}
	return list
}

// fuzzed is a server with three clients. A client with an allocation and a client without one send the messages of the fuzzer. The third
// one, the bystander, must not be affected.
type fuzzed struct {
	*bench    // a is the client with an allocation, b the bystander
	stranger  *client
	strangers *memoryPath
	answered  int // bytes sent to the client without an allocation
}

func newFuzzed(f *testing.F) *fuzzed {
	x := &fuzzed{bench: newBench(f)}
	limits := testLimits(f)
	limits.Peers, limits.AllocationsPerUser, limits.AllocationsPerAddr = anyPeer, 10000, 10000
	if err := x.SetLimits(limits); err != nil {
		f.Fatal(err)
	}
	x.stranger = x.link(f, netip.MustParseAddrPort("198.51.100.3:5000"))
	x.stranger.login()
	x.strangers = x.stranger.conn.(*memoryLink).path
	x.strangers.kind = TCP // replies over TCP are not limited, so all of them are checked
	x.strangers.sent = func(_ netip.AddrPort, b []byte) { x.answered += len(b) }
	return x
}

// resigned returns the request b with its attributes signed by c, so that the fuzzer also tests the code after authentication. It returns
// nil if b is not a request.
func resigned(c *client, b []byte) []byte {
	var m wire.Message
	if wire.Parse(b, &m) != nil || m.Class != wire.Request {
		return nil
	}
	r := wire.NewBuilder(nil, m.Method, wire.Request, newID())
	size := 0
	for typ, v := range m.Attributes() {
		switch typ {
		case wire.AttrUsername, wire.AttrRealm, wire.AttrNonce:
			continue
		case wire.AttrXORPeerAddress: // has to be masked with the new transaction ID
			if a, ok := m.XORAddress(v); ok {
				r.XORAddress(typ, a)
				continue
			}
		}
		if size += len(v); size > 60000 {
			return nil
		}
		r.Attribute(typ, v)
	}
	forge{user: c.user, realm: testRealm, nonce: c.nonce}.write(r)
	return r.Bytes()
}

// give makes the server receive one message.
func (x *fuzzed) give(path *memoryPath, remote netip.AddrPort, b []byte) {
	if len(b) <= datagramSize {
		x.fill(b)
		x.receive(path, remote, x.packet)
	}
}

// unharmed asserts that the packets of the bystander are relayed in both directions.
func (x *fuzzed) unharmed(t *testing.T) {
	t.Helper()
	path := x.b.conn.(*memoryLink).path
	sess := path.session(homeB)
	if sess == nil {
		t.Fatal("the bystander's session is gone")
	}
	// In a long run, permissions and allocations expire.
	now := x.now()
	if err := sess.allocation.Refresh(defaultLifetime); err != nil {
		t.Fatal(err)
	}
	sess.deadline.Store(now + int64(defaultLifetime))
	sess.flows.Permit([]netip.Addr{x.ra.Addr()}, now, now+int64(engine.PermissionLifetime))

	before := sess.info(0)
	x.give(path, homeB, message(wire.Indication, wire.Send, with(peers(x.ra), data("x"))))
	x.fill([]byte("x"))
	x.deliver(sess, x.packet, netip.AddrPortFrom(x.ra.Addr(), 9), true)
	if after := sess.info(0); after.FromPeerPackets != before.FromPeerPackets+1 {
		t.Fatal("the bystander is not relayed")
	}
}

func FuzzReceive(f *testing.F) {
	for _, b := range seeds() {
		f.Add(b)
	}
	x := newFuzzed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		const headers = 28
		x.answered = 0
		x.give(x.strangers, x.stranger.conn.(*memoryLink).remote, b)
		if x.answered > 0 && float64(x.answered+headers) > 2.2*float64(len(b)+headers) {
			t.Errorf("%d bytes for %d of a client without an allocation", x.answered, len(b))
		}
		x.give(x.path, homeA, b)
		if r := resigned(x.a, b); r != nil {
			x.give(x.path, homeA, r)
			x.give(x.path, homeA, r)
			x.give(x.strangers, x.stranger.conn.(*memoryLink).remote, resigned(x.stranger, b))
		}
		if sess := x.strangers.session(x.stranger.conn.(*memoryLink).remote); sess != nil {
			x.End(withID(sess.id))
		}
		if x.session() == nil { // the fuzzer has released it
			x.give(x.path, homeA, x.a.message(wire.Allocate, udpTransport))
			if x.session() == nil {
				t.Fatal("the client can't allocate again")
			}
		}
		x.unharmed(t)
	})
}

// FuzzStream sends the fuzzer's bytes in pieces of step bytes, as a client with or without an allocation.
func FuzzStream(f *testing.F) {
	for i, b := range seeds() {
		f.Add(append(append([]byte(nil), b...), seeds()[(i+1)%len(seeds())]...), uint8(i), i%2 == 0)
	}
	x := newFuzzed(f)
	f.Fuzz(func(t *testing.T, b []byte, step uint8, hasAllocation bool) {
		near, far := net.Pipe()
		if err := near.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		served, read := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(served)
			x.ServeConn(far, netip.MustParseAddrPort("198.51.100.4:5000"), TCP)
		}()
		c := &client{t: t, conn: near, stream: true, user: testUser, password: testPass}
		if hasAllocation {
			c.allocate(0)
			b = append(append([]byte(nil), b...), resigned(c, b)...)
		}
		go func() {
			defer close(read)
			for m := (wire.Message{}); ; {
				switch answer, err := c.tryRead(); {
				case err != nil:
					return
				case wire.Parse(answer, &m) != nil:
					t.Errorf("the server sent %x", answer)
				}
			}
		}()
		for piece := range slices.Chunk(b, int(step)+1) {
			if _, err := near.Write(piece); err != nil {
				break // the server has closed the stream, as it does when the framing is wrong
			}
		}
		near.Close()
		<-served
		<-read
		x.unharmed(t)
		if n := len(x.Sessions()); n != 2 {
			t.Errorf("%d sessions", n)
		}
	})
}
