package websocket

import (
	"encoding/binary"
	"errors"
)

// Opcodes (RFC 6455 section 5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

const (
	finalBit   = 0x80
	maskBit    = 0x80
	maxControl = 125 // bytes of payload in a control frame (section 5.5)
)

// header is a client's frame header.
type header struct {
	final bool
	op    byte
	mask  [4]byte

	headerLen  int // in bytes
	payloadLen int // in bytes; the payload follows the header
}

// control reports whether the frame is a close, ping or pong frame.
func (h *header) control() bool { return h.op >= opClose }

// Violations of RFC 6455 section 5. The client gets the text in the close frame, so it is limited to 123 bytes.
var (
	errReserved  = errors.New("reserved bits are set")
	errOpcode    = errors.New("opcode is unknown")
	errUnmasked  = errors.New("client frame is not masked")
	errControl   = errors.New("control frame is fragmented or longer than 125 bytes")
	errLength    = errors.New("frame is 2 GiB or longer")
	errSequence  = errors.New("continuation frame without a message, or new message within a fragmented one")
	errFragments = errors.New("message has too many fragments")
	errCloseCode = errors.New("close frame has an invalid status code")
)

// parseHeader parses the frame header at the start of b. If b does not hold all of it, ok is false and err is nil.
func parseHeader(b []byte) (h header, ok bool, err error) {
	if len(b) < 2 {
		return h, false, nil
	}
	h.final, h.op = b[0]&finalBit != 0, b[0]&0x0F
	switch {
	case b[0]&0x70 != 0:
		return h, false, errReserved
	case h.op > opBinary && h.op < opClose || h.op > opPong:
		return h, false, errOpcode
	case b[1]&maskBit == 0:
		return h, false, errUnmasked
	}
	h.payloadLen, h.headerLen = int(b[1]&0x7F), 6
	if h.control() && (!h.final || h.payloadLen > maxControl) {
		return h, false, errControl
	}
	switch h.payloadLen {
	case 126:
		h.headerLen = 8
	case 127:
		h.headerLen = 14
	}
	if len(b) < h.headerLen {
		return h, false, nil
	}
	switch h.headerLen {
	case 8:
		h.payloadLen = int(binary.BigEndian.Uint16(b[2:]))
	case 14:
		n := binary.BigEndian.Uint64(b[2:])
		if n > 1<<31-1 {
			return h, false, errLength
		}
		h.payloadLen = int(n)
	}
	copy(h.mask[:], b[h.headerLen-4:])
	return h, true, nil
}

// unmask decodes the payload of a client's frame in place (RFC 6455 section 5.3).
func unmask(mask [4]byte, b []byte) {
	word := uint64(binary.LittleEndian.Uint32(mask[:]))
	word |= word << 32
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= mask[i&3]
	}
}

// appendFrame appends an unfragmented frame without a mask, because a server must not mask its frames (RFC 6455 section
// 5.1).
func appendFrame(b []byte, op byte, payload []byte) []byte {
	b = append(b, finalBit|op)
	switch n := len(payload); {
	case n <= maxControl:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

// closePayload returns the payload of a close frame (RFC 6455 section 5.5.1). The text has at most 123 bytes.
func closePayload(code int, text string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), text...)
}

// validClosePayload reports whether the payload of a client's close frame is empty or begins with a status code that an
// endpoint may send (RFC 6455 section 7.4). It does not check the text, which nothing reads.
func validClosePayload(payload []byte) bool {
	if len(payload) == 0 {
		return true
	}
	if len(payload) == 1 {
		return false
	}
	switch code := binary.BigEndian.Uint16(payload); {
	case code >= 3000 && code < 5000:
		return true
	case code >= 1000 && code <= 1014:
		return code < 1004 || code > 1006
	}
	return false
}
