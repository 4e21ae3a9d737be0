package turnserver

import (
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/turnserver/wire"
)

func message(class wire.Class, method wire.Method, add attrs) []byte {
	b := wire.NewBuilder(nil, method, class, newID())
	if add != nil {
		add(b)
	}
	return b.Bytes()
}

func data(s string) attrs { return func(b *wire.Builder) { b.Text(wire.AttrData, s) } }

// The server drops these messages without a response and counts one drop for each, on every transport, with or without an allocation.
// The session continues.
func TestSilence(t *testing.T) {
	const uncounted = dropReasons
	binding := message(wire.Request, wire.Binding, nil)
	edit := func(f func(b []byte) []byte) []byte { return f(append([]byte(nil), binding...)) }
	ts := serve(t, relayApart)
	p := newPeer(t, loopback4)
	tests := map[string]struct {
		state    situation
		datagram []byte
		want     DropReason
		streams  bool // also valid on streams, because its framing is right
	}{
		"empty":                           {loggedIn, []byte{}, DropMalformed, false},
		"one byte":                        {loggedIn, []byte{0}, DropMalformed, false},
		"text":                            {loggedIn, []byte("\x01 GET / HTTP/1.1\r\n\r\n"), DropMalformed, false},
		"19 bytes":                        {loggedIn, binding[:19], DropMalformed, false},
		"no cookie (RFC 3489)":            {loggedIn, edit(func(b []byte) []byte { b[4] = 1; return b }), DropMalformed, false},
		"trailing bytes":                  {loggedIn, append(edit(func(b []byte) []byte { return b }), 0, 0, 0, 0), DropMalformed, false},
		"top bits":                        {loggedIn, edit(func(b []byte) []byte { b[0] = 0x80; return b }), DropMalformed, false},
		"channel 0x8000":                  {allocated, []byte{0x80, 0, 0, 0}, DropMalformed, false},
		"channel data, short":             {allocated, []byte{0x40, 0, 0, 9, 1}, DropMalformed, false},
		"wrong fingerprint":               {loggedIn, message(wire.Request, wire.Binding, attr(wire.AttrFingerprint, 1, 2, 3, 4)), DropMalformed, true},
		"attribute past the end":          {loggedIn, edit(func(b []byte) []byte { b[3] = 4; return append(b, 0x80, 0x22, 0, 1) }), DropMalformed, true},
		"integrity of 4 bytes":            {loggedIn, message(wire.Request, wire.Allocate, attr(wire.AttrMessageIntegrity, 1, 2, 3, 4)), DropMalformed, true},
		"a success":                       {loggedIn, message(wire.Success, wire.Binding, nil), DropUnexpected, true},
		"an error":                        {loggedIn, message(wire.Error, wire.Allocate, nil), DropUnexpected, true},
		"unknown method":                  {loggedIn, message(wire.Request, 0x123, nil), DropUnexpected, true},
		"connect (RFC 6062)":              {allocated, message(wire.Request, 0x00A, nil), DropUnexpected, true},
		"data from a client":              {allocated, message(wire.Indication, wire.Data, nil), DropUnexpected, true},
		"allocate as indication":          {loggedIn, message(wire.Indication, wire.Allocate, nil), DropUnexpected, true},
		"keep-alive":                      {loggedIn, message(wire.Indication, wire.Binding, nil), uncounted, true},
		"send without allocation":         {loggedIn, message(wire.Indication, wire.Send, with(peers(p.addr), data("x"))), DropNoAllocation, true},
		"channel data without allocation": {loggedIn, []byte{0x40, 0, 0, 4, 1, 2, 3, 4}, DropNoAllocation, true},
		"channel data, not bound":         {allocated, []byte{0x4F, 0xFF, 0, 4, 1, 2, 3, 4}, DropNoChannel, true},
		"send without data":               {allocated, message(wire.Indication, wire.Send, peers(p.addr)), DropMalformed, true},
		"send without peer":               {allocated, message(wire.Indication, wire.Send, data("x")), DropMalformed, true},
		"send to half an address":         {allocated, message(wire.Indication, wire.Send, with(attr(wire.AttrXORPeerAddress, 0, 1, 0x12, 0x34), data("x"))), DropMalformed, true},
		"send without permission":         {allocated, message(wire.Indication, wire.Send, with(peers(elsewhere4), data("x"))), DropNoPermission, true},
		"send to another family":          {allocated, message(wire.Indication, wire.Send, with(peers(elsewhere6), data("x"))), DropNoPermission, true},
		"send, unknown attribute":         {allocated, message(wire.Indication, wire.Send, with(peers(p.addr), data("x"), alien())), DropUnknownAttribute, true},
	}
	for name, tt := range tests {
		for _, transport := range []string{"udp4", "tcp4", "dtls4"} {
			if transport == "tcp4" && !tt.streams || transport == "dtls4" && len(tt.datagram) == 0 {
				continue
			}
			t.Run(name+" over "+transport, func(t *testing.T) {
				c := ts.dial(t, transport)
				c.login()
				var relayed netip.AddrPort
				if tt.state == allocated {
					relayed = c.allocate(0)
					c.must(c.permit(p.addr), 0)
				}
				before := dropCounts(ts)
				c.write(tt.datagram)
				c.wantNothing()
				for d, n := range dropCounts(ts) {
					want := before[d]
					if DropReason(d) == tt.want {
						want++
					}
					if n != want {
						t.Errorf("%v dropped as %v", n-before[d], DropReason(d))
					}
				}
				if tt.state == allocated {
					c.sendTo(p.addr, "alive")
					p.want(relayed, "alive")
				}
			})
		}
	}
}

func dropCounts(ts *testServer) (n [dropReasons]float64) {
	for d := range dropReasons {
		n[d] = testutil.ToFloat64(ts.drops[d])
	}
	return n
}

// The attributes of an indication may be in any order, with any padding, and DATA may be empty.
func TestSendIndications(t *testing.T) {
	ts := serve(t, relayApart)
	for _, transport := range []string{"udp4", "tcp4", "tls4", "dtls4"} {
		t.Run(transport, func(t *testing.T) {
			c, p := ts.dial(t, transport), newPeer(t, loopback4)
			relayed := c.allocate(0)
			c.must(c.permit(p.addr), 0)
			for want, a := range map[string]attrs{
				"data last":  with(peers(p.addr), data("data last")),
				"data first": with(data("data first"), peers(p.addr)),
				"":           with(data(""), peers(p.addr)),
				"optional":   with(attr(0x8777, 1), peers(p.addr), data("optional"), attr(wire.AttrSoftware, 'x')),
				"the first":  with(data("the first"), data("the second"), peers(p.addr, elsewhere4)),
				"signed": func(b *wire.Builder) {
					with(peers(p.addr), data("signed"))(b)
					b.Integrity([]byte("ignored")).Fingerprint()
				},
			} {
				c.write(message(wire.Indication, wire.Send, a))
				p.want(relayed, want)
			}
			c.wantNothing()
		})
	}
}
