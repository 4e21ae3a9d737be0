package turnserver

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"net/netip"
	"sync"
	"time"
)

// nonceLifetime is how long a nonce is accepted. RFC 8656 section 5 recommends an hour.
const nonceLifetime = time.Hour

// Sizes of a nonce in bytes: 4 of time and 12 of MAC. In base64 it has 22 characters.
const (
	nonceTimeSize = 4
	nonceRawSize  = 16
)

// nonces makes and checks nonces without storing any. A nonce contains the time at which it was made, and a MAC of that
// time and the client's address. The key of the MAC belongs to this process. After a restart every nonce is stale, so
// clients get 438.
type nonces struct {
	start time.Time
	macs  sync.Pool // of hash.Hash, all with the same key
}

func newNonces(start time.Time) (*nonces, error) {
	key := make([]byte, 32)
	_, err := rand.Read(key)
	return &nonces{start: start, macs: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}, err
}

// make returns a nonce for a client at addr. The client's port is not signed, because some NATs change it.
func (n *nonces) make(addr netip.Addr, now time.Time) string {
	var raw [nonceRawSize]byte
	binary.BigEndian.PutUint32(raw[:], uint32(now.Sub(n.start)/time.Second))
	n.sign(&raw, addr)
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// valid reports whether nonce was made for addr within the last hour.
func (n *nonces) valid(nonce []byte, addr netip.Addr, now time.Time) bool {
	var raw, want [nonceRawSize]byte
	if len(nonce) != base64.RawURLEncoding.EncodedLen(nonceRawSize) {
		return false
	}
	if _, err := base64.RawURLEncoding.Decode(raw[:], nonce); err != nil {
		return false
	}
	copy(want[:nonceTimeSize], raw[:])
	n.sign(&want, addr)
	age := now.Sub(n.start) - time.Duration(binary.BigEndian.Uint32(raw[:]))*time.Second
	return hmac.Equal(raw[:], want[:]) && age < nonceLifetime
}

func (n *nonces) sign(raw *[nonceRawSize]byte, addr netip.Addr) {
	mac := n.macs.Get().(hash.Hash)
	defer n.macs.Put(mac)
	mac.Reset()
	mac.Write(raw[:nonceTimeSize])
	ip := addr.As16()
	mac.Write(ip[:])
	copy(raw[nonceTimeSize:], mac.Sum(nil))
}
