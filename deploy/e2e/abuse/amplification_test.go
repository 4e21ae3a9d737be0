package abuse

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/stun"
	"icebox/deploy/e2e/abuse/turn"
)

// Bytes of the IP and UDP headers.
const (
	headers4 = 20 + 8
	headers6 = 40 + 8
)

// A message that may come from a forged address draws few bytes: at most 1.5 times its size for a Binding request, and
// 2.2 times for any other message, with a realm of 16 bytes.
func TestAmplification(t *testing.T) {
	b := start(t, settings{})
	for name, tt := range map[string]struct {
		request []byte
		most    float64
		silent  bool
	}{
		"binding":                        {request: stun.Build(stun.Binding, stun.NewID()), most: 1.5},
		"binding, unknown attribute":     {request: stun.Build(stun.Binding, stun.NewID(), stun.Attr{Type: 0x7F00}), most: 1.5},
		"binding, 12 unknown attributes": {request: stun.Build(stun.Binding, stun.NewID(), unknown(12)...), most: 1.5},
		"binding, CHANGE-REQUEST":        {request: stun.Build(stun.Binding, stun.NewID(), stun.Uint32(0x0003, 6)), most: 1.5},
		"allocate":                       {request: bareAllocate(), most: 2.2},
		"allocate, transport":            {request: stun.Build(stun.Allocate, stun.NewID(), stun.UDPTransport()), most: 2.2},
		"allocate, unknown attribute":    {request: stun.Build(stun.Allocate, stun.NewID(), stun.Attr{Type: 0x7F00}), most: 2.2},
		"allocate, empty signature":      {request: stun.Sign(bareAllocate(), nil), most: 2.2},
		"allocate, made-up nonce":        {request: forged(), most: 2.2},
		"refresh":                        {request: stun.Build(stun.Refresh, stun.NewID()), most: 2.2},
		"permission":                     {request: stun.Build(stun.CreatePermission, stun.NewID()), most: 2.2},
		"channel":                        {request: stun.Build(stun.ChannelBind, stun.NewID()), most: 2.2},
		"connect (RFC 6062)":             {request: stun.Build(0x000A, stun.NewID()), silent: true},
		"send":                           {request: stun.Build(stun.Send, stun.NewID()), silent: true},
		"binding indication":             {request: stun.Build(0x0011, stun.NewID()), silent: true},
		"a response":                     {request: stun.Build(stun.Binding+stun.Success, stun.NewID()), silent: true},
		"channel data":                   {request: stun.ChannelData(0x4000, []byte("1234")), silent: true},
		"empty":                          {request: nil, silent: true},
		"one byte":                       {request: []byte{0}, silent: true},
		"19 bytes":                       {request: bareAllocate()[:19], silent: true},
		"text":                           {request: []byte("GET / HTTP/1.1\r\n\r\n"), silent: true},
		"RFC 3489 (no cookie)":           {request: make([]byte, 20), silent: true},
		"ClientHello on the plain port":  {request: clientHello(), silent: true},
	} {
		t.Run(name, func(t *testing.T) {
			for family, ip := range map[string]netip.Addr{"IPv4": here4, "IPv6": here6} {
				overhead := headers4
				if ip.Is6() {
					overhead = headers6
				}
				replies := provoke(t, b.at(turn.UDP, ip), tt.request)
				got := 0
				for _, r := range replies {
					got += len(r) + overhead
				}
				factor := float64(got) / float64(len(tt.request)+overhead)
				t.Logf("%s over %s: %d bytes draw %d bytes, a factor of %.3f (payload: %d draw %d)", name, family, len(tt.request)+overhead, got,
					factor, len(tt.request), got-len(replies)*overhead)
				if factor > tt.most || len(replies) > 1 || tt.silent == (len(replies) > 0) {
					t.Errorf("%s: %d replies, %.3f times as many bytes, want at most %.1f", family, len(replies), factor, tt.most)
				}
			}
		})
	}
}

// A ClientHello draws one HelloVerifyRequest, which is never retransmitted (RFC 6347 section 4.2.1).
func TestAmplificationDTLS(t *testing.T) {
	b := start(t, settings{})
	for _, ip := range []netip.Addr{here4, here6} {
		c := connect(t, b.at(turn.DTLS, ip))
		send(t, c, clientHello())
		deadline := time.Now().Add(4 * time.Second) // long enough for three retransmissions, one a second
		var got [][]byte
		for {
			r := receive(t, c, deadline)
			if r == nil {
				break
			}
			got = append(got, r)
		}
		if len(got) != 1 || len(got[0]) > len(clientHello()) {
			t.Errorf("one ClientHello draws %d datagrams: %x", len(got), got)
			continue
		}
		t.Logf("%v: a ClientHello of %d bytes draws %d bytes", ip, len(clientHello()), len(got[0]))
	}
}

// unknown returns n attributes that the daemon does not know and must understand.
func unknown(n int) []stun.Attr {
	var attrs []stun.Attr
	for i := range n {
		attrs = append(attrs, stun.Attr{Type: 0x7F00 + uint16(i)})
	}
	return attrs
}

// forged is an Allocate that has every attribute of a signed one, with invalid values.
func forged() []byte {
	return stun.Sign(stun.Build(stun.Allocate, stun.NewID(), stun.UDPTransport(), stun.Text(stun.Username, "u"),
		stun.Text(stun.Realm, "sixteen-b.realm!"), stun.Text(stun.Nonce, "n")), []byte("k"))
}

// provoke sends a request and then a Binding request. It returns the replies that came before the Binding response.
func provoke(t *testing.T, to netip.AddrPort, request []byte) (replies [][]byte) {
	t.Helper()
	c := connect(t, to)
	send(t, c, request)
	last := stun.Build(stun.Binding, stun.NewID())
	send(t, c, last)
	deadline := time.Now().Add(patience)
	for {
		r := receive(t, c, deadline)
		if r == nil {
			t.Fatal("the daemon no longer responds")
		}
		if len(r) >= 20 && bytes.Equal(r[8:20], last[8:20]) {
			return replies
		}
		replies = append(replies, r)
	}
}

// connect opens a UDP socket to an address. It is closed when the test ends.
func connect(t *testing.T, to netip.AddrPort) net.Conn {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(context.Background(), "udp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// receive returns the next datagram, or nil if none arrives before the deadline.
func receive(t *testing.T, c net.Conn, deadline time.Time) []byte {
	t.Helper()
	if err := c.SetReadDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := c.Read(b)
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}
