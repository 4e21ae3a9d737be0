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

// clientHello is the first datagram of a DTLS 1.2 client (RFC 6347 section 4.2.1), without a cookie.
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

// dtlsHandshake is one record of epoch 0 with one fragment of a handshake message of size bytes in all.
func dtlsHandshake(typ byte, sequence, offset, size int, fragment []byte) []byte {
	b := []byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(12+len(fragment)))
	b = append(b, typ, byte(size>>16), byte(size>>8), byte(size))
	b = binary.BigEndian.AppendUint16(b, uint16(sequence))
	b = append(b, byte(offset>>16), byte(offset>>8), byte(offset), byte(len(fragment)>>16), byte(len(fragment)>>8), byte(len(fragment)))
	return append(b, fragment...)
}

// record is a plain record, which anybody could have sent.
func record(typ byte, number uint64, body ...byte) []byte {
	b := []byte{typ, 0xfe, 0xfd}
	b = binary.BigEndian.AppendUint64(b, number) // epoch 0, for numbers of 48 bits
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// Datagrams with a DTLS client's address that anybody can forge don't end its session.
func TestForgedRecords(t *testing.T) {
	b := start(t, settings{})
	for name, forged := range map[string][]byte{
		"fatal alert":         record(21, 1000, 2, 40),
		"close_notify":        record(21, 1001, 1, 0),
		"application data":    record(23, 1002, 1, 2, 3, 4),
		"empty data":          record(23, 1003),
		"change of cipher":    record(20, 1004, 1),
		"broken change":       record(20, 1005, 9, 9),
		"unknown type":        record(60, 1006, 1),
		"ClientHello":         clientHello(),
		"part of a handshake": dtlsHandshake(16, 2, 0, 10, []byte{1, 2}),
		"broken handshake":    record(22, 1007, 0, 0),
		"longer than it is":   append(record(23, 1008, 1), 0)[:14],
		"behind a sealed one": append([]byte{23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 200, 0, 1, 7}, record(23, 1009, 1)...),
		"of the next epoch":   {23, 0xfe, 0xfd, 0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 7},
		"sealed by nobody":    {21, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 201, 0, 2, 2, 40},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(crowdAddr, 0)))
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
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
			if _, err := raw.WriteToUDPAddrPort(forged, b.secure); err != nil {
				t.Fatal(err)
			}
			_, err = c.Request(stun.Refresh)
			wantCode(t, "Refresh after that", err, 0)
		})
	}
}

// A client of DTLS 1.0 is told at once, so that one that can goes on to 1.2, as coturn's does.
func TestOldDTLS(t *testing.T) {
	b := start(t, settings{})
	c := connect(t, b.secure)
	hello := clientHello()
	hello[13+12+1] = 0xff
	send(t, c, hello)
	got := receive(t, c, time.Now().Add(patience))
	if want := []byte{21, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 70}; !bytes.Equal(got, want) {
		t.Errorf("got %x, want a fatal alert about the version", got)
	}
}

// A client that lost its connection makes a new one from the same port, long before the old one would have ended.
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
		_ = secured.Close() // its farewell gets lost
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

// forgetful is a socket that outlives its DTLS connections and lets no alert out.
type forgetful struct{ *net.UDPConn }

func (f forgetful) Close() error { return f.SetReadDeadline(time.Now()) }

func (f forgetful) WriteTo(b []byte, to net.Addr) (int, error) {
	if b[0] == 21 {
		return len(b), nil
	}
	return f.UDPConn.WriteTo(b, to)
}

// Pieces of handshake messages that never become whole, 1 MB from each of 60 clients, are not kept.
func TestHandshakeFragments(t *testing.T) {
	const clients, datagrams, size = 60, 900, 1200
	b := start(t, settings{})
	memory := b.memory(t)
	var conns []net.Conn
	for i := range clients {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		raw, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(crowdAddr, 0)))
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		secured, err := turn.SecureUDP(ctx, forgetful{raw}, b.secure)
		cancel()
		if err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		conns = append(conns, secured)
		for j := range datagrams {
			piece := dtlsHandshake(16, 100+j%800, 1000*j, 1<<20-1, make([]byte, size))
			binary.BigEndian.PutUint64(piece[3:], uint64(1000+j)) // fresh numbers
			if _, err := raw.WriteToUDPAddrPort(piece, b.secure); err != nil {
				t.Fatal(err)
			}
		}
		b.answers(t) // the daemon has kept up
	}
	grown := b.memory(t) - memory
	t.Logf("%d clients sent %.1f MiB each: memory grew by %.1f MiB", len(conns), float64(datagrams*size)/(1<<20), mib(grown))
	if grown > 24<<20 {
		t.Errorf("memory grew by %.1f MiB", mib(grown))
	}
}

// answers waits for the answer to a Binding request on the secure port.
func (b *box) answers(t *testing.T) {
	t.Helper()
	c, err := turn.Dial(t.Context(), turn.UDP, honest, b.secure)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := turn.New(c, turn.Login{}).Request(stun.Binding); err != nil {
		t.Fatal(err)
	}
}
