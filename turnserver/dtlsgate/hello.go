package dtlsgate

import (
	"encoding/binary"
)

// Types of records (RFC 6347 section 4.3.1).
const (
	TypeHandshake = 22
	typeAlert     = 21

	clientHello        = 1
	helloVerifyRequest = 3
)

// Sizes of headers (RFC 6347 sections 4.1 and 4.2.2).
const (
	recordHeader  = 13
	messageHeader = 12
)

// dtls10 is the version number of DTLS 1.0. DTLS versions are negative numbers, so that of 1.2 is smaller.
const dtls10 = 0xfeff

// versionAndRandom is the length in bytes of the first two fields of a ClientHello.
const versionAndRandom = 2 + 32

// Hello is a ClientHello that was not fragmented. It refers to the bytes of its datagram.
type Hello struct {
	Cookie []byte // empty in the first one of a handshake

	record   []byte // the whole record
	body     []byte // of the message
	cookieAt int    // offset in body of the cookie's length
	fixedEnd int    // offset in body of the extensions
}

// Random returns the client's random bytes, which differ between two attempts to connect.
func (h *Hello) Random() [32]byte { return [32]byte(h.body[2:]) }

// Outdated reports whether DTLS 1.0 is the newest version that the client supports.
func (h *Hello) Outdated() bool { return binary.BigEndian.Uint16(h.body) == dtls10 }

// Refusal returns the response to an outdated ClientHello: an alert in one record. Its record number is that of the
// client's record, as in a challenge, because a client drops records with a number that it has already seen.
func (h *Hello) Refusal() []byte {
	const fatal, protocolVersion = 2, 70 // RFC 5246 section 7.2
	b := append([]byte{typeAlert, dtls10 >> 8, dtls10 & 0xff}, h.record[3:11]...)
	return append(b, 0, 2, fatal, protocolVersion)
}

// Parse parses a datagram that begins with an unfragmented ClientHello in an unencrypted record. ok is false for any other
// datagram.
func Parse(b []byte) (*Hello, bool) {
	size, ok := record(b)
	if !ok || b[0] != TypeHandshake || epoch(b) != 0 || size < recordHeader+messageHeader {
		return nil, false
	}
	m := b[recordHeader:size]
	length := uint24(m[1:])
	if m[0] != clientHello || uint24(m[6:]) != 0 || uint24(m[9:]) != length || len(m) != messageHeader+length {
		return nil, false
	}
	h := &Hello{record: b[:size], body: m[messageHeader:]}
	at := versionAndRandom
	if at, ok = h.skip(at, 1); !ok { // session id
		return nil, false
	}
	h.cookieAt = at
	if at, ok = h.skip(at, 1); !ok {
		return nil, false
	}
	h.Cookie = h.body[h.cookieAt+1 : at]
	if at, ok = h.skip(at, 2); !ok { // cipher suites
		return nil, false
	}
	if at, ok = h.skip(at, 1); !ok { // compression methods
		return nil, false
	}
	h.fixedEnd = at
	return h, true
}

// skip returns the end of the vector at offset at, whose length field has width bytes.
func (h *Hello) skip(at, width int) (int, bool) {
	if at+width > len(h.body) {
		return 0, false
	}
	n := int(h.body[at])
	if width == 2 {
		n = int(binary.BigEndian.Uint16(h.body[at:]))
	}
	at += width + n
	return at, at <= len(h.body)
}

// First returns the ClientHello that the client must have sent before this one: the same one without a cookie.
func (h *Hello) First() []byte {
	size := len(h.body) - len(h.Cookie)
	b := make([]byte, 0, recordHeader+messageHeader+size)
	b = append(b, h.record[:recordHeader]...)
	number := binary.BigEndian.Uint64(b[3:]) // after an epoch of 0
	if number == 0 {
		number = 2 // the client has started its numbers again
	}
	binary.BigEndian.PutUint64(b[3:], number-1) // the client has used this number before
	binary.BigEndian.PutUint16(b[recordHeader-2:], uint16(messageHeader+size))
	b = append(b, clientHello, 0, byte(size>>8), byte(size), 0, 0, 0, 0, 0, 0, byte(size>>8), byte(size))
	b = append(b, h.body[:h.cookieAt]...)
	b = append(b, 0)
	return append(b, h.body[h.cookieAt+1+len(h.Cookie):]...)
}

// IsChallenge reports whether a record is a HelloVerifyRequest.
func IsChallenge(b []byte) bool {
	size, ok := record(b)
	return ok && size > recordHeader && b[0] == TypeHandshake && epoch(b) == 0 && b[recordHeader] == helloVerifyRequest
}

// Sealed moves the encrypted records of a datagram to its front and returns them. It removes unencrypted and malformed
// records, and a repeated change of cipher. handshake is the number of bytes in handshake records among the returned ones.
func Sealed(b []byte) (sealed []byte, handshake int) {
	sealed = b[:0]
	for len(b) > 0 {
		size, ok := record(b)
		if !ok {
			break
		}
		if epoch(b) > 0 {
			if b[0] == TypeHandshake {
				handshake += size
			}
			sealed = append(sealed, b[:size]...)
		}
		b = b[size:]
	}
	return sealed, handshake
}

// record returns the length in bytes of the record at the start of b.
func record(b []byte) (size int, ok bool) {
	if len(b) < recordHeader {
		return 0, false
	}
	size = recordHeader + int(binary.BigEndian.Uint16(b[recordHeader-2:]))
	return size, size <= len(b)
}

func epoch(b []byte) uint16 { return binary.BigEndian.Uint16(b[3:]) }

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
