package wire

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// ChannelData splits a ChannelData message (RFC 8656 section 12.4). It ignores bytes after the data, because they are
// padding. ok is false if the length field exceeds the rest of b, or if number is not a valid channel number.
func ChannelData(b []byte) (number uint16, data []byte, ok bool) {
	if len(b) < ChannelHeaderSize {
		return 0, nil, false
	}
	number = binary.BigEndian.Uint16(b)
	size := int(binary.BigEndian.Uint16(b[2:]))
	if number < MinChannel || number > MaxOldChannel || size > len(b)-ChannelHeaderSize {
		return 0, nil, false
	}
	return number, b[ChannelHeaderSize : ChannelHeaderSize+size], true
}

// PutChannelHeader writes the header of a ChannelData message with size bytes of
// data into b[:4].
func PutChannelHeader(b []byte, number uint16, size int) {
	binary.BigEndian.PutUint16(b, number)
	binary.BigEndian.PutUint16(b[2:], uint16(size))
}

// Number of bytes before the data of a Data indication, by the peer's family.
const (
	DataHeader4 = HeaderSize + AttributeHeaderSize + 8 + AttributeHeaderSize
	DataHeader6 = HeaderSize + AttributeHeaderSize + 20 + AttributeHeaderSize
)

// DataHeaderSize returns the number of bytes before the data of a Data indication from peer.
func DataHeaderSize(peer netip.Addr) int {
	if peer.Is4() {
		return DataHeader4
	}
	return DataHeader6
}

// PutDataHeader writes the part of a Data indication before the data (RFC 8656 section 11.4) into
// b[:DataHeaderSize(peer.Addr())]. size is the number of bytes of data. The caller pads the data to a multiple of four.
func PutDataHeader(b []byte, peer netip.AddrPort, size int) {
	head := DataHeaderSize(peer.Addr())
	binary.BigEndian.PutUint16(b, messageType(Data, Indication))
	binary.BigEndian.PutUint16(b[2:], uint16(head-HeaderSize+Pad4(size)))
	binary.BigEndian.PutUint32(b[4:], cookie)
	binary.BigEndian.PutUint64(b[8:], rand.Uint64())
	binary.BigEndian.PutUint32(b[16:], rand.Uint32())

	address, data := b[HeaderSize:head-AttributeHeaderSize], b[head-AttributeHeaderSize:head]
	binary.BigEndian.PutUint16(address, uint16(AttrXORPeerAddress))
	binary.BigEndian.PutUint16(address[2:], uint16(len(address)-AttributeHeaderSize))
	address[4], address[5] = 0, byte(FamilyOf(peer.Addr()))
	binary.BigEndian.PutUint16(address[6:], peer.Port()^cookie>>16)
	ip := address[8:]
	if peer.Addr().Is4() {
		a := peer.Addr().As4()
		copy(ip, a[:])
	} else {
		a := peer.Addr().As16()
		copy(ip, a[:])
	}
	for i := range ip {
		ip[i] ^= b[4+i]
	}
	binary.BigEndian.PutUint16(data, uint16(AttrData))
	binary.BigEndian.PutUint16(data[2:], uint16(size))
}
