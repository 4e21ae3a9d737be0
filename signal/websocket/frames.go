package websocket

import (
	"encoding/binary"
	"errors"
)

// opcodes (RFC 6455 section 5.2).
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
	maxControl = 125
	maxHeader  = 10 // of a server's frame
)

// header is a client's frame header.
type header struct {
	final bool
	op    byte
	size  int // its own
	body  int // bytes that follow it
	mask  [4]byte
}

func (h *header) control() bool { return h.op >= opClose }

// Violations of RFC 6455 section 5.
var (
	errReserved  = errors.New("reserved bits are set")
	errOpcode    = errors.New("unknown opcode")
	errUnmasked  = errors.New("a client's frame is not masked")
	errControl   = errors.New("a control frame is fragmented or too long")
	errLength    = errors.New("a frame is too long for anybody")
	errSequence  = errors.New("a fragment is where none may be")
	errFragments = errors.New("a message of too many fragments")
	errCloseCode = errors.New("a close frame without a proper code or text")
)

// parseHeader reads the header that b begins with. It reports false if there is more to come of it.
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
	h.body, h.size = int(b[1]&0x7F), 6
	if h.control() && (!h.final || h.body > maxControl) {
		return h, false, errControl
	}
	switch h.body {
	case 126:
		h.size = 8
	case 127:
		h.size = 14
	}
	if len(b) < h.size {
		return h, false, nil
	}
	switch h.size {
	case 8:
		h.body = int(binary.BigEndian.Uint16(b[2:]))
	case 14:
		n := binary.BigEndian.Uint64(b[2:])
		if n > 1<<31-1 {
			return h, false, errLength
		}
		h.body = int(n)
	}
	copy(h.mask[:], b[h.size-4:])
	return h, true, nil
}

// unmask decodes a payload in place (RFC 6455 section 5.3).
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

// appendFrame appends a server's frame, which is not masked.
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

// closePayload is a close frame's.
func closePayload(code int, text string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), text...)
}

// goodClose reports whether a client's close frame is as section 7.4 wants it.
func goodClose(payload []byte) bool {
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
