package abuse

import (
	"crypto/rand"
	"encoding/binary"
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
