package dtlsgate

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"
)

// cookieLifetime is how long a client may take to return its cookie. Clients retransmit for about a minute.
const cookieLifetime = time.Minute

// Sizes of a cookie in bytes: 4 of time and 16 of MAC.
const (
	timeSize   = 4
	CookieSize = 20
)

// Gate makes and checks cookies. It stores none, and is safe for concurrent use.
type Gate struct {
	key   [32]byte
	start time.Time
}

// New returns a Gate with a random key. Its cookies count their time from now.
func New(now time.Time) (*Gate, error) {
	g := &Gate{start: now}
	_, err := rand.Read(g.key[:])
	return g, err
}

// Valid reports whether h carries a cookie that this Gate made for the same client and the same hello, less than a minute ago.
func (g *Gate) Valid(h *Hello, client netip.AddrPort, now time.Time) bool {
	if len(h.Cookie) != CookieSize {
		return false
	}
	seconds := binary.BigEndian.Uint32(h.Cookie)
	want := g.cookie(h, client, seconds)
	age := now.Sub(g.start) - time.Duration(seconds)*time.Second
	return hmac.Equal(want[:], h.Cookie) && age < cookieLifetime
}

// Challenge returns the response to h: a HelloVerifyRequest in one record. As RFC 6347 section 4.2.1 requires, its versions
// are that of DTLS 1.0, and its record has the number of the client's record.
func (g *Gate) Challenge(h *Hello, client netip.AddrPort, now time.Time) []byte {
	const body = 2 + 1 + CookieSize
	cookie := g.cookie(h, client, uint32(now.Sub(g.start)/time.Second))
	b := make([]byte, 0, recordHeader+messageHeader+body)
	b = append(b, TypeHandshake, 0xfe, 0xff)
	b = append(b, h.record[3:11]...) // epoch and number
	b = binary.BigEndian.AppendUint16(b, messageHeader+body)
	b = append(b, helloVerifyRequest, 0, 0, body, 0, 0, 0, 0, 0, 0, 0, body)
	b = append(b, 0xfe, 0xff, CookieSize)
	return append(b, cookie[:]...)
}

// cookie signs the client's address and the fields that the client must not change between its hellos.
func (g *Gate) cookie(h *Hello, client netip.AddrPort, seconds uint32) (c [CookieSize]byte) {
	binary.BigEndian.PutUint32(c[:], seconds)
	mac := hmac.New(sha256.New, g.key[:])
	mac.Write(c[:timeSize])
	ip := client.Addr().As16()
	mac.Write(ip[:])
	mac.Write(binary.BigEndian.AppendUint16(nil, client.Port()))
	mac.Write(h.body[:h.cookieAt])
	mac.Write(h.body[h.cookieAt+1+len(h.Cookie) : h.fixedEnd])
	copy(c[timeSize:], mac.Sum(nil))
	return c
}
