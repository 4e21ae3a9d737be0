package wire

import (
	"encoding/binary"
	"errors"
)

// ErrFrame reports bytes on a stream that start neither a STUN message nor a
// ChannelData message, or announce one longer than allowed. Nothing behind them can be
// read: the stream has to be closed.
var ErrFrame = errors.New("not a frame")

// MinFrame is how many bytes of a stream [FrameSize] has to see.
const MinFrame = ChannelHeaderSize

// FrameSize returns the size of the message at the start of a stream (RFC 8489
// section 6.2.2, RFC 8656 section 12.5): the message itself is b[:size], the next one starts at
// b[padded]. b has at least [MinFrame] bytes. The result is at least 4 and at most
// limit, or the error is [ErrFrame]. All sums are ints and can't overflow.
func FrameSize(b []byte, limit int) (size, padded int, err error) {
	length := int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case b[0] < 0x40:
		size = HeaderSize + length
		if length%4 != 0 || len(b) >= 8 && binary.BigEndian.Uint32(b[4:]) != cookie {
			return 0, 0, ErrFrame
		}
	case b[0] >= MinChannel>>8 && b[0] <= MaxOldChannel>>8:
		size = ChannelHeaderSize + length
	default:
		return 0, 0, ErrFrame
	}
	padded = Pad4(size)
	if padded > limit {
		return 0, 0, ErrFrame
	}
	return size, padded, nil
}
