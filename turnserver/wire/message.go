package wire

import (
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"iter"
)

// Sizes of RFC 8489 section 5 and RFC 8656 section 12.4, in bytes.
const (
	HeaderSize        = 20
	ChannelHeaderSize = 4
	TransactionIDSize = 12
	// AttributeHeaderSize is in front of each attribute's value.
	AttributeHeaderSize = 4

	integritySize   = 20
	fingerprintSize = 4
	cookie          = 0x2112A442
	fingerprintXOR  = 0x5354554e
)

// Method is the method of a STUN message (RFC 8489 section 18.1, RFC 8656 section 17).
type Method uint16

// The methods that TURN uses.
const (
	Binding          Method = 0x001
	Allocate         Method = 0x003
	Refresh          Method = 0x004
	Send             Method = 0x006
	Data             Method = 0x007
	CreatePermission Method = 0x008
	ChannelBind      Method = 0x009
)

// String returns the name of the method for metrics and logs, or "unknown".
func (m Method) String() string {
	switch m {
	case Binding:
		return "binding"
	case Allocate:
		return "allocate"
	case Refresh:
		return "refresh"
	case Send:
		return "send"
	case Data:
		return "data"
	case CreatePermission:
		return "create_permission"
	case ChannelBind:
		return "channel_bind"
	default:
		return "unknown"
	}
}

// Class is the class of a STUN message (RFC 8489 section 5).
type Class uint8

// The four classes.
const (
	Request Class = iota
	Indication
	Success
	Error
)

// Errors of [Parse].
var (
	ErrNotSTUN     = errors.New("not a STUN message")
	ErrLength      = errors.New("length field does not match the message")
	ErrAttribute   = errors.New("attribute does not end inside the message")
	ErrIntegrity   = errors.New("message-integrity is not 20 bytes")
	ErrFingerprint = errors.New("fingerprint is wrong or not last")
)

// Message is a parsed STUN message. It is a view of the buffer that it was parsed from, and is valid until that buffer
// changes.
type Message struct {
	Method        Method
	Class         Class
	TransactionID [TransactionIDSize]byte
	// Fingerprint is true if the message carried a valid FINGERPRINT.
	Fingerprint bool

	raw       []byte
	end       int // the visible attributes are raw[HeaderSize:end]
	integrity int // offset of MESSAGE-INTEGRITY; 0 if there is none
}

// Parse decodes b, which is exactly one STUN message, into m. If it returns an error, m is invalid.
func Parse(b []byte, m *Message) error {
	if len(b) < HeaderSize || b[0]&0xC0 != 0 || binary.BigEndian.Uint32(b[4:]) != cookie {
		return ErrNotSTUN
	}
	if n := int(binary.BigEndian.Uint16(b[2:])); n%4 != 0 || n != len(b)-HeaderSize {
		return ErrLength
	}
	typ := binary.BigEndian.Uint16(b)
	*m = Message{
		Method: Method(typ&0x000F | typ&0x00E0>>1 | typ&0x3E00>>2),
		Class:  Class(typ&0x0010>>4 | typ&0x0100>>7),
		raw:    b,
		end:    len(b),
	}
	copy(m.TransactionID[:], b[8:HeaderSize])
	return m.scan()
}

// scan checks the bounds of every attribute. It sets end to the offset of the first MESSAGE-INTEGRITY or FINGERPRINT,
// which is the end of the visible attributes.
func (m *Message) scan() error {
	b := m.raw
	for at := HeaderSize; at < len(b); {
		typ, size, next := attributeAt(b, at)
		if next > len(b) {
			return ErrAttribute
		}
		switch typ {
		case AttrMessageIntegrity:
			if size != integritySize {
				return ErrIntegrity
			}
			if m.integrity == 0 {
				m.integrity, m.end = at, at
			}
		case AttrFingerprint:
			if size != fingerprintSize || next != len(b) || !m.fingerprintAt(at) {
				return ErrFingerprint
			}
			m.Fingerprint = true
			m.end = min(m.end, at)
		}
		at = next
	}
	return nil
}

// attributeAt decodes the attribute header at offset at. next is the offset after the padded value. It is greater than
// len(b) if the attribute does not fit.
func attributeAt(b []byte, at int) (typ AttrType, size, next int) {
	if at+AttributeHeaderSize > len(b) {
		return 0, 0, len(b) + 1
	}
	size = int(binary.BigEndian.Uint16(b[at+2:]))
	return AttrType(binary.BigEndian.Uint16(b[at:])), size, at + AttributeHeaderSize + Pad4(size)
}

// Pad4 rounds n up to a multiple of four. Attributes and frames of a stream are padded to such lengths.
func Pad4(n int) int { return (n + 3) &^ 3 }

// fingerprintAt checks the FINGERPRINT attribute at offset at (RFC 8489 section 14.7).
func (m *Message) fingerprintAt(at int) bool {
	got := binary.BigEndian.Uint32(m.raw[at+AttributeHeaderSize:])
	return got == crc32.ChecksumIEEE(m.raw[:at])^fingerprintXOR
}

// Attributes yields the type and value of each visible attribute, in order. Visible are the attributes before the first
// MESSAGE-INTEGRITY or FINGERPRINT.
func (m *Message) Attributes() iter.Seq2[AttrType, []byte] {
	return func(yield func(AttrType, []byte) bool) {
		for at := HeaderSize; at < m.end; {
			typ, size, next := attributeAt(m.raw, at)
			value := at + AttributeHeaderSize
			if !yield(typ, m.raw[value:value+size:value+size]) {
				return
			}
			at = next
		}
	}
}

// Get returns the value of the first attribute of type typ (RFC 8489 section 14:
// later ones of a type that may not repeat are ignored).
func (m *Message) Get(typ AttrType) (value []byte, ok bool) {
	for t, v := range m.Attributes() {
		if t == typ {
			return v, true
		}
	}
	return nil, false
}

// Has reports whether the message has an attribute of type typ.
func (m *Message) Has(typ AttrType) bool {
	_, ok := m.Get(typ)
	return ok
}

// HasIntegrity reports whether the message carries MESSAGE-INTEGRITY.
func (m *Message) HasIntegrity() bool { return m.integrity != 0 }

// CheckIntegrity reports whether MESSAGE-INTEGRITY is correct for key (RFC 8489 section 14.5). It returns false if the
// message does not have the attribute. It does not change the message.
func (m *Message) CheckIntegrity(key []byte) bool {
	if m.integrity == 0 {
		return false
	}
	var header [HeaderSize]byte
	copy(header[:], m.raw)
	length := m.integrity + AttributeHeaderSize + integritySize - HeaderSize
	binary.BigEndian.PutUint16(header[2:], uint16(length))
	sum := integrity(key, header[:], m.raw[HeaderSize:m.integrity])
	value := m.integrity + AttributeHeaderSize
	return hmac.Equal(sum[:], m.raw[value:value+integritySize])
}
