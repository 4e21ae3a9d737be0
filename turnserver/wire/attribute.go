package wire

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// AttrType is the type of an attribute. Types below 0x8000 are comprehension-required.
type AttrType uint16

// Attributes of RFC 8489 section 18.3 and RFC 8656 section 18.
const (
	AttrUsername                AttrType = 0x0006
	AttrMessageIntegrity        AttrType = 0x0008
	AttrErrorCode               AttrType = 0x0009
	AttrUnknownAttributes       AttrType = 0x000A
	AttrChannelNumber           AttrType = 0x000C
	AttrLifetime                AttrType = 0x000D
	AttrXORPeerAddress          AttrType = 0x0012
	AttrData                    AttrType = 0x0013
	AttrRealm                   AttrType = 0x0014
	AttrNonce                   AttrType = 0x0015
	AttrXORRelayedAddress       AttrType = 0x0016
	AttrRequestedAddressFamily  AttrType = 0x0017
	AttrEvenPort                AttrType = 0x0018
	AttrRequestedTransport      AttrType = 0x0019
	AttrDontFragment            AttrType = 0x001A
	AttrMessageIntegritySHA256  AttrType = 0x001C
	AttrXORMappedAddress        AttrType = 0x0020
	AttrReservationToken        AttrType = 0x0022
	AttrAdditionalAddressFamily AttrType = 0x8000
	AttrAddressErrorCode        AttrType = 0x8001
	AttrSoftware                AttrType = 0x8022
	AttrAlternateServer         AttrType = 0x8023
	AttrFingerprint             AttrType = 0x8028
	// AttrAdditionalAddressFamilyDraft is the number that coturn's client library of Debian 12 (4.6.1) sends instead of
	// AttrAdditionalAddressFamily. IANA has not assigned this number.
	AttrAdditionalAddressFamilyDraft AttrType = 0x8032
)

// Required reports whether a receiver that does not know the attribute must refuse
// the message (RFC 8489 section 14).
func (t AttrType) Required() bool { return t < 0x8000 }

// Family is the number of an address family in an attribute (RFC 8489 section 14.1).
type Family uint8

// The address families.
const (
	IPv4 Family = 0x01
	IPv6 Family = 0x02
)

// FamilyOf returns the family of a. It returns IPv6 for an IPv4-mapped address, so callers unmap those first.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// XORAddress decodes the value of an XOR-*-ADDRESS attribute of this message (RFC 8489 section 14.2). It returns false
// unless value has 8 bytes for IPv4 or 20 bytes for IPv6.
func (m *Message) XORAddress(value []byte) (netip.AddrPort, bool) {
	var mask [16]byte
	copy(mask[:], m.raw[4:HeaderSize])
	var addr netip.Addr
	switch {
	case len(value) == 8 && Family(value[1]) == IPv4:
		var ip [4]byte
		for i := range ip {
			ip[i] = value[4+i] ^ mask[i]
		}
		addr = netip.AddrFrom4(ip)
	case len(value) == 20 && Family(value[1]) == IPv6:
		var ip [16]byte
		for i := range ip {
			ip[i] = value[4+i] ^ mask[i]
		}
		addr = netip.AddrFrom16(ip)
	default:
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(value[2:])^cookie>>16), true
}

// Seconds decodes the value of a LIFETIME (RFC 8656 section 18.2). ok is false unless value has four bytes.
func Seconds(value []byte) (d time.Duration, ok bool) {
	if len(value) != 4 {
		return 0, false
	}
	return time.Duration(binary.BigEndian.Uint32(value)) * time.Second, true
}

// Channel numbers. RFC 8656 section 12 allows 0x4000 to 0x4FFF. RFC 5766 section 11 allowed numbers up to 0x7FFF, and
// older clients, such as that of coturn 4.6, still use all of them.
const (
	MinChannel    = 0x4000
	MaxChannel    = 0x4FFF
	MaxOldChannel = 0x7FFF
)

// ChannelNumber decodes the value of a CHANNEL-NUMBER (RFC 8656 section 18.1). ok is false unless value has four bytes.
// The caller checks the range of the number.
func ChannelNumber(value []byte) (number uint16, ok bool) {
	if len(value) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint16(value), true
}
