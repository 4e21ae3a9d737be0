package turnserver

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"icebox/turnserver/wire"
)

// A stream client can send more bytes in one message than a Data indication can hold. If the peer is another client of a stream, such a
// message must not break the framing there, because its sender could then forge messages of the server.
func TestHandOverOfLongMessage(t *testing.T) {
	ts := serve(t, relayApart)
	for _, transport := range []string{"tcp4", "tls4", "udp4", "dtls4"} {
		t.Run(transport, func(t *testing.T) {
			a, b := ts.dial(t, "tcp4"), ts.dial(t, transport)
			ra, rb := a.allocate(0), b.allocate(0)
			a.must(a.bind(0x4000, rb), 0)
			b.must(b.permit(ra), 0)
			for _, size := range []int{65535, 65513, 4096, relayPayload + 1} {
				ts.awaitDrop(t, DropOversized, func() { a.sendOn(0x4000, strings.Repeat("\x40", size)) })
			}
			most := strings.Repeat("m", relayPayload)
			a.sendOn(0x4000, most)
			b.wantData(ra, most)
			b.must(b.bind(0x4001, ra), 0)
			ts.awaitDrop(t, DropOversized, func() { a.sendOn(0x4000, strings.Repeat("\x40", 65535)) })
			a.sendOn(0x4000, most)
			b.wantChannel(0x4001, most)
			b.wantNothing()
		})
	}
}

// An allocation may send to its own relayed address. Each packet comes back once.
func TestHandOverToOneself(t *testing.T) {
	ts := serve(t, relayApart)
	c := ts.dial(t, "tcp4")
	relayed := c.allocate(0)
	c.must(c.permit(relayed), 0)
	c.sendTo(relayed, "echo")
	c.wantData(relayed, "echo")
	c.must(c.bind(0x4000, relayed), 0)
	c.sendOn(0x4000, "echo on a channel")
	c.wantChannel(0x4000, "echo on a channel")
	c.wantNothing()
}

// Headers and padding that are written around a payload in a stream's buffer must not overwrite the next frame.
func TestHandOverSparesTheNextFrame(t *testing.T) {
	ts := serve(t, relayApart)
	a, b := ts.dial(t, "tcp4"), ts.dial(t, "tcp4")
	ra, rb := a.allocate(0), b.allocate(0)
	a.must(a.bind(0x4000, rb), 0)
	b.must(b.permit(ra), 0)
	var frames bytes.Buffer
	var want []string
	for i := range 200 {
		payload := strings.Repeat(string(rune('a'+i%26)), i%9)
		want = append(want, payload)
		frame := make([]byte, wire.ChannelHeaderSize, wire.Pad4(wire.ChannelHeaderSize+len(payload)))
		wire.PutChannelHeader(frame, 0x4000, len(payload))
		frame = append(frame, payload...)
		for len(frame)%4 != 0 {
			frame = append(frame, 0xFF) // padding may have any value
		}
		frames.Write(frame)
	}
	a.write(frames.Bytes())
	for _, payload := range want {
		b.wantData(ra, payload)
	}
}

// A relayed address that has been released is an ordinary port of the host again, so it is denied as a peer.
func TestHandOverToAnEndedSession(t *testing.T) {
	ts := serve(t, relayApart)
	a, b := ts.dial(t, "udp4"), ts.dial(t, "udp4")
	ra, rb := a.allocate(0), b.allocate(0)
	a.must(a.bind(0x4000, rb), 0)
	b.must(b.permit(ra), 0)
	a.sendOn(0x4000, "hello")
	b.wantData(ra, "hello")
	b.must(b.do(wire.Refresh, attr(wire.AttrLifetime, 0, 0, 0, 0)), 0)
	ts.awaitDrop(t, DropPeerDenied, func() { a.sendOn(0x4000, "to a port of nobody") })
	a.must(a.bind(0x4001, netip.AddrPortFrom(own4, rb.Port())), wire.Forbidden)
	b.wantNothing()
}
