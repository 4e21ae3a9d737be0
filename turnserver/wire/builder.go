package wire

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"time"
)

// Builder writes one STUN message. Attributes appear in the order of the calls; Integrity and Fingerprint cover
// everything before them. Use [NewBuilder], because the zero Builder does not work.
type Builder struct {
	buf []byte
}

// NewBuilder starts a message in the memory of buf, which may be nil, and overwrites its contents. If buf has enough
// capacity, the Builder allocates no memory for the message.
func NewBuilder(buf []byte, method Method, class Class, id [TransactionIDSize]byte) *Builder {
	buf = buf[:0]
	buf = binary.BigEndian.AppendUint16(buf, messageType(method, class))
	buf = binary.BigEndian.AppendUint16(buf, 0)
	buf = binary.BigEndian.AppendUint32(buf, cookie)
	return &Builder{buf: append(buf, id[:]...)}
}

// messageType packs method and class into the first 16 bits (RFC 8489 section 5).
func messageType(method Method, class Class) uint16 {
	m, c := uint16(method), uint16(class)
	return m&0x000F | m&0x0070<<1 | m&0x0F80<<2 | c&1<<4 | c&2<<7
}

// Bytes returns the message. The Builder must not be used after it.
func (b *Builder) Bytes() []byte { return b.buf }

// Attribute adds an attribute. The value must not be longer than 65,535 bytes.
func (b *Builder) Attribute(typ AttrType, value []byte) *Builder {
	b.header(typ, len(value))
	b.buf = append(b.buf, value...)
	return b.padded()
}

// Text adds an attribute whose value is text (USERNAME, REALM, NONCE, SOFTWARE).
func (b *Builder) Text(typ AttrType, value string) *Builder {
	b.header(typ, len(value))
	b.buf = append(b.buf, value...)
	return b.padded()
}

// XORAddress adds an XOR-*-ADDRESS attribute (RFC 8489 section 14.2).
func (b *Builder) XORAddress(typ AttrType, a netip.AddrPort) *Builder {
	ip16, ip4 := a.Addr().As16(), [4]byte{}
	ip := ip16[:]
	if a.Addr().Is4() {
		ip4 = a.Addr().As4()
		ip = ip4[:]
	}
	b.header(typ, 4+len(ip))
	b.buf = append(b.buf, 0, byte(FamilyOf(a.Addr())))
	b.buf = binary.BigEndian.AppendUint16(b.buf, a.Port()^cookie>>16)
	for i := range ip {
		ip[i] ^= b.buf[4+i]
	}
	b.buf = append(b.buf, ip...)
	return b.padded()
}

// Address adds an attribute in the form of MAPPED-ADDRESS, such as ALTERNATE-SERVER (RFC 8489 section 14.15).
func (b *Builder) Address(typ AttrType, a netip.AddrPort) *Builder {
	value := binary.BigEndian.AppendUint16([]byte{0, byte(FamilyOf(a.Addr()))}, a.Port())
	return b.Attribute(typ, append(value, a.Addr().AsSlice()...))
}

// Lifetime adds LIFETIME in whole seconds (RFC 8656 section 18.2).
func (b *Builder) Lifetime(d time.Duration) *Builder {
	return b.Attribute(AttrLifetime, binary.BigEndian.AppendUint32(nil, uint32(d/time.Second)))
}

// ErrorCode adds ERROR-CODE (RFC 8489 section 14.8); reason may be empty.
func (b *Builder) ErrorCode(code Code, reason string) *Builder {
	return b.Attribute(AttrErrorCode, append([]byte{0, 0, byte(code / 100), byte(code % 100)}, reason...))
}

// AddressErrorCode adds ADDRESS-ERROR-CODE for a family that was not allocated (RFC 8656 section 18.12).
func (b *Builder) AddressErrorCode(f Family, code Code) *Builder {
	return b.Attribute(AttrAddressErrorCode, append([]byte{byte(f), 0, byte(code / 100), byte(code % 100)}, code.Reason()...))
}

// UnknownAttributes adds UNKNOWN-ATTRIBUTES with two bytes for each type (RFC 8489 section 14.13).
func (b *Builder) UnknownAttributes(types []AttrType) *Builder {
	var value []byte
	for _, t := range types {
		value = binary.BigEndian.AppendUint16(value, uint16(t))
	}
	return b.Attribute(AttrUnknownAttributes, value)
}

// Integrity adds MESSAGE-INTEGRITY under key (RFC 8489 section 14.5).
func (b *Builder) Integrity(key []byte) *Builder {
	b.setLength(len(b.buf) + AttributeHeaderSize + integritySize)
	sum := integrity(key, b.buf, nil)
	return b.Attribute(AttrMessageIntegrity, sum[:])
}

// Fingerprint adds FINGERPRINT (RFC 8489 section 14.7), which has to be the last attribute.
func (b *Builder) Fingerprint() *Builder {
	b.setLength(len(b.buf) + AttributeHeaderSize + fingerprintSize)
	sum := crc32.ChecksumIEEE(b.buf) ^ fingerprintXOR
	b.header(AttrFingerprint, fingerprintSize)
	b.buf = binary.BigEndian.AppendUint32(b.buf, sum)
	return b.padded()
}

func (b *Builder) header(typ AttrType, size int) {
	b.buf = binary.BigEndian.AppendUint16(b.buf, uint16(typ))
	b.buf = binary.BigEndian.AppendUint16(b.buf, uint16(size))
}

// padded appends zeros until the length is a multiple of four, and updates the length field.
func (b *Builder) padded() *Builder {
	for len(b.buf)%4 != 0 {
		b.buf = append(b.buf, 0)
	}
	b.setLength(len(b.buf))
	return b
}

func (b *Builder) setLength(total int) {
	binary.BigEndian.PutUint16(b.buf[2:], uint16(total-HeaderSize))
}
