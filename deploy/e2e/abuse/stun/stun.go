// Package stun writes and reads STUN messages (RFC 8489). It shares no code with the server, so that both can't have the
// same bug. It writes invalid messages as well, if the caller asks for them.
package stun

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // MESSAGE-INTEGRITY is HMAC-SHA1
	"encoding/binary"
	"errors"
	"net/netip"
)

// Message types, which combine method and class (RFC 8489 section 5).
const (
	Binding          = 0x0001
	Allocate         = 0x0003
	Refresh          = 0x0004
	CreatePermission = 0x0008
	ChannelBind      = 0x0009
	Send             = 0x0016 // indication
	Data             = 0x0017 // indication

	Success = 0x0100 // added to the type of a request
	Failure = 0x0110
)

// Attribute types.
const (
	Username               = 0x0006
	MessageIntegrity       = 0x0008
	ErrorCode              = 0x0009
	ChannelNumber          = 0x000C
	Lifetime               = 0x000D
	XORPeerAddress         = 0x0012
	DataValue              = 0x0013
	Realm                  = 0x0014
	Nonce                  = 0x0015
	XORRelayedAddress      = 0x0016
	RequestedAddressFamily = 0x0017
	RequestedTransport     = 0x0019
	XORMappedAddress       = 0x0020

	AdditionalAddressFamily = 0x8000
	AddressErrorCode        = 0x8001
)

const (
	cookie     = 0x2112A442
	headerSize = 20
)

// ID is a transaction id.
type ID [12]byte

// NewID returns a random transaction id.
func NewID() (id ID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// Attr is an attribute. If Addr is valid, Build writes it as an XOR address instead of Value.
type Attr struct {
	Type  uint16
	Value []byte
	Addr  netip.AddrPort
}

// Text returns an attribute with a text as its value.
func Text(typ uint16, value string) Attr { return Attr{Type: typ, Value: []byte(value)} }

// Uint32 returns an attribute with a value of four bytes.
func Uint32(typ uint16, value uint32) Attr {
	return Attr{Type: typ, Value: binary.BigEndian.AppendUint32(nil, value)}
}

// Peer returns XOR-PEER-ADDRESS.
func Peer(a netip.AddrPort) Attr { return Attr{Type: XORPeerAddress, Addr: a} }

// Channel returns CHANNEL-NUMBER.
func Channel(number uint16) Attr { return Uint32(ChannelNumber, uint32(number)<<16) }

// UDPTransport returns the REQUESTED-TRANSPORT of an Allocate.
func UDPTransport() Attr { return Uint32(RequestedTransport, 17<<24) }

// Build returns a message.
func Build(typ uint16, id ID, attrs ...Attr) []byte {
	b := binary.BigEndian.AppendUint16(nil, typ)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint32(b, cookie)
	b = append(b, id[:]...)
	for _, a := range attrs {
		if a.Addr.IsValid() {
			a.Value = xor(address(a.Addr), b)
		}
		b = add(b, a)
	}
	return b
}

// Sign returns b with MESSAGE-INTEGRITY appended.
func Sign(b, key []byte) []byte {
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-headerSize+4+sha1.Size))
	mac := hmac.New(sha1.New, key)
	mac.Write(b)
	return add(b, Attr{Type: MessageIntegrity, Value: mac.Sum(nil)})
}

// add appends an attribute and updates the length in the header.
func add(b []byte, a Attr) []byte {
	b = binary.BigEndian.AppendUint16(b, a.Type)
	b = binary.BigEndian.AppendUint16(b, uint16(len(a.Value)))
	b = append(b, a.Value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-headerSize))
	return b
}

// address returns the value of an address attribute before the XOR (RFC 8489 section 14.1).
func address(a netip.AddrPort) []byte {
	family := byte(1)
	if a.Addr().Is6() {
		family = 2
	}
	b := []byte{0, family}
	b = binary.BigEndian.AppendUint16(b, a.Port())
	return append(b, a.Addr().AsSlice()...)
}

// xor encodes or decodes the value of an XOR address in the message that starts with header.
func xor(value, header []byte) []byte {
	out := append([]byte(nil), value...)
	out[2] ^= header[4]
	out[3] ^= header[5]
	for i := 4; i < len(out); i++ {
		out[i] ^= header[i]
	}
	return out
}

// Message is a parsed message.
type Message struct {
	Type  uint16
	ID    ID
	Attrs []Attr
	raw   []byte
}

var errShort = errors.New("not a whole STUN message")

// Parse parses a message.
func Parse(b []byte) (Message, error) {
	if len(b) < headerSize || b[0] >= 0x40 || binary.BigEndian.Uint32(b[4:]) != cookie ||
		int(binary.BigEndian.Uint16(b[2:])) != len(b)-headerSize {
		return Message{}, errShort
	}
	m := Message{Type: binary.BigEndian.Uint16(b), ID: ID(b[8:headerSize]), raw: b}
	for rest := b[headerSize:]; len(rest) > 0; {
		if len(rest) < 4 {
			return Message{}, errShort
		}
		size := int(binary.BigEndian.Uint16(rest[2:]))
		padded := (size + 3) &^ 3
		if len(rest) < 4+padded {
			return Message{}, errShort
		}
		m.Attrs = append(m.Attrs, Attr{Type: binary.BigEndian.Uint16(rest), Value: rest[4 : 4+size]})
		rest = rest[4+padded:]
	}
	return m, nil
}

// Get returns the value of the first attribute of a type, or nil if there is none.
func (m *Message) Get(typ uint16) []byte {
	for _, a := range m.Attrs {
		if a.Type == typ {
			return a.Value
		}
	}
	return nil
}

// Address returns the XOR address in the first attribute of a type.
func (m *Message) Address(typ uint16) (netip.AddrPort, bool) {
	v := m.Get(typ)
	if len(v) != 8 && len(v) != 20 {
		return netip.AddrPort{}, false
	}
	v = xor(v, m.raw)
	a, ok := netip.AddrFromSlice(v[4:])
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(v[2:])), ok
}

// Code returns the error code of a response, or 0 for a success.
func (m *Message) Code() int {
	v := m.Get(ErrorCode)
	if m.Type&0x0110 != Failure || len(v) < 4 {
		return 0
	}
	return int(v[2])*100 + int(v[3])
}

// ChannelData returns a ChannelData message with the padding that streams need (RFC 8656 section 12.4).
func ChannelData(number uint16, data []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, number)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	b = append(b, data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// Frame returns the length of the message at the start of b, including padding, or 0 if b is too short to know.
func Frame(b []byte) int {
	if len(b) < 4 {
		return 0
	}
	size := int(binary.BigEndian.Uint16(b[2:]))
	if b[0] < 0x40 {
		return headerSize + size
	}
	return (4 + size + 3) &^ 3
}
