package dtlsgate

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"time"
)

// cookieLifetime is how long a client may take to send its cookie back. Clients that
// retransmit do so for about a minute.
const cookieLifetime = time.Minute

// Sizes of a cookie: 4 bytes of time and 16 of MAC.
const (
	timeSize   = 4
	CookieSize = 20
)

// Gate makes and checks cookies. It remembers none, and is safe for concurrent use.
type Gate struct {
	key   [32]byte
	start time.Time
}

// New returns a gate with a key of its own.
func New(now time.Time) (*Gate, error) {
	g := &Gate{start: now}
	_, err := rand.Read(g.key[:])
	return g, err
}

// Valid tells whether h carries a cookie that was made for this very client and hello.
func (g *Gate) Valid(h *Hello, client netip.AddrPort, now time.Time) bool {
	if len(h.Cookie) != CookieSize {
		return false
	}
	seconds := binary.BigEndian.Uint32(h.Cookie)
	want := g.cookie(h, client, seconds)
	age := now.Sub(g.start) - time.Duration(seconds)*time.Second
	return hmac.Equal(want[:], h.Cookie) && age < cookieLifetime
}

// Challenge returns the HelloVerifyRequest, one record, that answers h. Its versions are
// that of DTLS 1.0 and its record has the number of the client's, as RFC 6347 section 4.2.1 wants.
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

// cookie signs the client's address and what it must not change between its hellos.
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
