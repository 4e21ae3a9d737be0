package abuse

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/stun"
	"icebox/deploy/e2e/abuse/turn"
)

// clientHello returns the first datagram of a DTLS 1.2 client (RFC 6347 section 4.2.1), which has no cookie.
func clientHello() []byte {
	random := make([]byte, 32)
	_, _ = rand.Read(random)
	body := append([]byte{0xfe, 0xfd}, random...)
	body = append(body, 0, 0)                               // no session, no cookie
	body = append(body, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0) // two suites, no compression
	extensions := []byte{
		0, 10, 0, 6, 0, 4, 0, 29, 0, 23, // groups: X25519, P-256
		0, 11, 0, 2, 1, 0, // points: uncompressed
		0, 13, 0, 4, 0, 2, 4, 3, // ECDSA with P-256 and SHA-256
		0, 23, 0, 0, // extended master secret
	}
	body = binary.BigEndian.AppendUint16(body, uint16(len(extensions)))
	body = append(body, extensions...)
	return dtlsHandshake(1, 0, 0, len(body), body)
}

// dtlsHandshake returns a record of epoch 0 with a fragment of a handshake message. size is the size of the whole message.
func dtlsHandshake(typ byte, sequence, offset, size int, fragment []byte) []byte {
	b := []byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(12+len(fragment)))
	b = append(b, typ, byte(size>>16), byte(size>>8), byte(size))
	b = binary.BigEndian.AppendUint16(b, uint16(sequence))
	b = append(b, byte(offset>>16), byte(offset>>8), byte(offset), byte(len(fragment)>>16), byte(len(fragment)>>8), byte(len(fragment)))
	return append(b, fragment...)
}

// Once a client has a connection, the daemon drops and counts records from the client's address that are not encrypted
// or not authentic, and the session goes on.
func TestForgedRecords(t *testing.T) {
	b := start(t, settings{})
	part := dtlsHandshake(16, 2, 0, 10, []byte{1, 2})
	for name, tt := range map[string]struct {
		forged  []byte
		dropped float64 // by the daemon itself, as malformed
	}{
		"part of a handshake":       {part, 1},
		"record cut short":          {part[:len(part)-1], 1},
		"ClientHello":               {clientHello(), 0}, // draws a HelloVerifyRequest
		"epoch 2":                   {[]byte{23, 0xfe, 0xfd, 0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 7}, 0},
		"epoch 1, not authentic":    {[]byte{23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 201, 0, 2, 2, 40}, 0},
		"handshake behind a record": {append([]byte{23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 200, 0, 1, 7}, part...), 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, raw := b.allocateDTLS(t)
			malformed := b.Metric("icebox_turn_dropped_total", `reason="malformed"`)
			if _, err := raw.WriteToUDPAddrPort(tt.forged, b.secure); err != nil {
				t.Fatal(err)
			}
			_, err := c.Request(stun.Refresh)
			wantCode(t, "Refresh after the forged record", err, 0)
			if n := b.Metric("icebox_turn_dropped_total", `reason="malformed"`) - malformed; n != tt.dropped {
				t.Errorf("%v datagrams were dropped as malformed, want %v", n, tt.dropped)
			}
		})
	}
}

// allocateDTLS connects a DTLS client and makes an allocation. It returns the client and its socket.
func (b *box) allocateDTLS(t *testing.T) (*turn.Client, *net.UDPConn) {
	t.Helper()
	raw, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(crowdAddr, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	secured, err := turn.SecureUDP(ctx, raw, b.secure)
	if err != nil {
		t.Fatal(err)
	}
	c := turn.New(secured, turn.Mint(secret, "dtls"))
	if _, err := c.Allocate(); err != nil {
		t.Fatal(err)
	}
	return c, raw
}

// A client that offers DTLS 1.0 gets an alert at once. A client that also knows 1.2, such as coturn's, then tries that.
func TestOldDTLS(t *testing.T) {
	b := start(t, settings{})
	c := connect(t, b.secure)
	hello := clientHello()
	hello[13+12+1] = 0xff
	send(t, c, hello)
	got := receive(t, c, time.Now().Add(patience))
	if want := []byte{21, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 70}; !bytes.Equal(got, want) {
		t.Errorf("received %x, want the fatal alert protocol_version", got)
	}
}

// A client that has lost its connection can make a new one from the same port before the old one times out.
func TestNewHandshakeFromTheSamePort(t *testing.T) {
	b := start(t, settings{})
	raw, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(crowdAddr, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for round := range 3 {
		secured, err := turn.SecureUDP(ctx, forgetful{raw}, b.secure)
		if err != nil {
			t.Fatalf("handshake %d: %v", round, err)
		}
		c := turn.New(secured, turn.Mint(secret, "dtls"))
		if _, err := c.Allocate(); err != nil {
			t.Fatalf("allocation %d: %v", round, err)
		}
		_ = secured.Close() // forgetful drops its close_notify
		if err := raw.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, patience, func() error {
		if n := b.Metric("icebox_turn_sessions"); n > 1 {
			return fmt.Errorf("%v sessions", n)
		}
		return nil
	})
}

// forgetful is a socket that stays open when its DTLS connection is closed, and that drops outgoing alerts.
type forgetful struct{ *net.UDPConn }

func (f forgetful) Close() error { return f.SetReadDeadline(time.Now()) }

func (f forgetful) WriteTo(b []byte, to net.Addr) (int, error) {
	if b[0] == 21 {
		return len(b), nil
	}
	return f.UDPConn.WriteTo(b, to)
}

// Parts of handshake messages from the address of a client that has a connection are dropped, one by one, and the session
// goes on.
func TestHandshakeFragments(t *testing.T) {
	const datagrams, size = 20, 1200
	b := start(t, settings{})
	c, raw := b.allocateDTLS(t)
	malformed := b.Metric("icebox_turn_dropped_total", `reason="malformed"`)
	for i := range datagrams {
		part := dtlsHandshake(16, 2, size*i, size*datagrams, make([]byte, size))
		binary.BigEndian.PutUint64(part[3:], uint64(1000+i)) // a new record number
		if _, err := raw.WriteToUDPAddrPort(part, b.secure); err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.Request(stun.Refresh)
	wantCode(t, "Refresh after the fragments", err, 0)
	if n := b.Metric("icebox_turn_dropped_total", `reason="malformed"`) - malformed; n != datagrams {
		t.Errorf("%v of %d fragments were dropped as malformed", n, datagrams)
	}
}
