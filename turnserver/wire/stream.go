package wire

import (
	"encoding/binary"
	"errors"
)

// ErrFrame means that the next bytes of a stream are not the start of a STUN or ChannelData message, or that the
// message is longer than allowed. The caller has to close the stream, because it cannot find the start of the next
// message.
var ErrFrame = errors.New("not a frame")

// MinFrame is the smallest number of bytes from which [FrameSize] can compute a size.
const MinFrame = ChannelHeaderSize

// FrameSize returns the size of the message at the start of a stream (RFC 8489 section 6.2.2, RFC 8656 section 12.5).
// The message is b[:size], and the next one starts at b[padded]. b must have at least [MinFrame] bytes. Both sizes are
// at least 4 and at most limit; otherwise the error is [ErrFrame].
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
