package turnserver

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/turnserver/dtlsgate"
	"icebox/turnserver/wire"
)

// dtlsClient is a DTLS client whose socket the test can use directly, and which stays open when a connection ends.
type dtlsClient struct {
	*client
	raw    *net.UDPConn
	server netip.AddrPort
}

func (ts *testServer) dialRawDTLS(t testing.TB) *dtlsClient {
	t.Helper()
	raw, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback4, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	c := &dtlsClient{raw: raw, server: ts.addrs["dtls4"]}
	c.connect(t)
	return c
}

// connect opens a new connection from the same port.
func (c *dtlsClient) connect(t testing.TB) {
	t.Helper()
	conn, err := dtls.ClientWithOptions(keptOpen{c.raw}, net.UDPAddrFromAddrPort(c.server), dtls.WithInsecureSkipVerify(true))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c.client = &client{t: t, conn: conn, user: testUser, password: testPass}
}

func (c *dtlsClient) inject(b []byte) {
	c.t.Helper()
	if _, err := c.raw.WriteToUDPAddrPort(b, c.server); err != nil {
		c.t.Fatal(err)
	}
}

// keptOpen is a socket that stays open when its connection is closed. The close_notify alert is lost.
type keptOpen struct{ *net.UDPConn }

func (k keptOpen) Close() error { return k.SetReadDeadline(time.Now()) }

func (k keptOpen) WriteTo(b []byte, to net.Addr) (int, error) {
	if b[0] == 21 { // alert
		return len(b), nil
	}
	return k.UDPConn.WriteTo(b, to)
}

// plainRecord is a DTLS record that is not encrypted.
func plainRecord(typ byte, number uint64, body ...byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte{typ, 0xfe, 0xfd}, number)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// strangersHello returns a ClientHello without a cookie.
func strangersHello() []byte {
	const size = 2 + 32 + 1 + 1 + 4 + 2
	body := append([]byte{1, 0, 0, size, 0, 0, 0, 0, 0, 0, 0, size, 0xfe, 0xfd}, make([]byte, 32)...)
	return plainRecord(22, 0, append(body, 0, 0, 0, 2, 0xc0, 0x2b, 1, 0)...)
}

// The response to a ClientHello without a valid cookie is shorter than the ClientHello, and the server stores nothing about it.
func TestDTLSStrangersAreForgotten(t *testing.T) {
	ts := serve(t, relayApart)
	hello := strangersHello()
	before := len(ts.closers)
	for range 50 {
		c := newPeer(t, loopback4)
		if _, err := c.conn.WriteToUDPAddrPort(hello, ts.addrs["dtls4"]); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1024)
		n, err := c.conn.Read(b)
		if err != nil || n >= len(hello) || !dtlsgate.IsChallenge(b[:n]) {
			t.Fatalf("%d bytes draw %x, %v", len(hello), b[:n], err)
		}
	}
	if n := ts.connections.Len(); n != 0 || len(ts.closers) != before {
		t.Errorf("%d connections, %d things to close", n, len(ts.closers)-before)
	}
}

// These responses count against the same limit as other replies to addresses that may be forged.
func TestDTLSAnswersAreLimited(t *testing.T) {
	ts := serve(t, func(o *Options, l *Limits) { relayApart(o, l); l.RepliesPerPrefix = 1 })
	c := newPeer(t, loopback4)
	ts.awaitDrop(t, DropReplyRate, func() {
		for range 10 + 5 { // the burst is the replies of 10 s
			if _, err := c.conn.WriteToUDPAddrPort(strangersHello(), ts.addrs["dtls4"]); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Once a client has a connection, unencrypted records from its address are dropped before
// the DTLS library sees them. dtlsgate's TestSealed has more kinds of datagrams.
func TestDTLSDropsPlainRecords(t *testing.T) {
	ts := serve(t, relayApart)
	c := ts.dialRawDTLS(t)
	c.allocate(0)
	for name, b := range map[string][]byte{
		"part of a handshake": plainRecord(22, 1004, 16, 0, 0, 9, 0, 5, 0, 0, 0, 0, 0, 1, 7),
		"incomplete record":   plainRecord(22, 1005, 16, 0, 0, 9)[:15],
	} {
		t.Run(name, func(t *testing.T) {
			ts.awaitDrop(t, DropMalformed, func() { c.inject(b) })
			c.must(c.do(wire.Refresh, nil), 0)
		})
	}
}

// A client that has lost its connection gets a new one at once, and its old session ends.
func TestDTLSReconnect(t *testing.T) {
	ts := serve(t, relayApart)
	c := ts.dialRawDTLS(t)
	for round := range 3 {
		c.allocate(0)
		c.must(c.do(wire.Refresh, nil), 0)
		if n := testutil.ToFloat64(ts.started[DTLS]); int(n) != round+1 {
			t.Fatalf("%v sessions in round %d", n, round)
		}
		c.conn.Close()
		if err := c.raw.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		c.connect(t)
	}
}

// Handshake fragments beyond the limit for a whole handshake are dropped, and the session continues.
func TestDTLSHandshakeBytes(t *testing.T) {
	ts := serve(t, relayApart)
	c := ts.dialRawDTLS(t)
	c.allocate(0)
	ts.awaitDrop(t, DropHandshake, func() {
		for i := range dtlsHandshake/4000 + 1 {
			c.inject(plainRecord(22, 1<<48+1000+uint64(i), make([]byte, 4000)...)) // epoch 1: as far as the server can see it is encrypted
		}
	})
	c.must(c.do(wire.Refresh, nil), 0)
	c.inject(plainRecord(22, 1, bytes.Repeat([]byte{1}, dtlsRecord)...))
	c.must(c.do(wire.Refresh, nil), 0)
}
