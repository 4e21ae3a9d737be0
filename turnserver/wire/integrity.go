package wire

import (
	"crypto/sha1" //nolint:gosec // MESSAGE-INTEGRITY is HMAC-SHA1 by RFC 8489 section 14.5.
)

// integrity does not allocate memory for messages of up to usualSize bytes.
const usualSize = 1024

// integrity returns the HMAC-SHA1 (RFC 2104) of head and tail, one after the other. It does not use crypto/hmac,
// because that allocates half a kilobyte for each key, and every client has its own key.
func integrity(key, head, tail []byte) [integritySize]byte {
	if len(key) > sha1.BlockSize {
		sum := sha1.Sum(key) //nolint:gosec // see above
		key = sum[:]
	}
	const inner, outer = 0x36, 0x5c
	b := append(make([]byte, 0, sha1.BlockSize+usualSize), key...)[:sha1.BlockSize] // padded with zeros
	for i := range b {
		b[i] ^= inner
	}
	sum := sha1.Sum(append(append(b, head...), tail...)) //nolint:gosec // see above
	for i := range b {
		b[i] ^= inner ^ outer
	}
	return sha1.Sum(append(b, sum[:]...)) //nolint:gosec // see above
}
