// Package wire encodes and decodes the messages of TURN: STUN messages (RFC 8489 section 5), their attributes (RFC 8489
// section 14, RFC 8656 section 18) and ChannelData messages (RFC 8656 section 12.4). It does no I/O.
//
// Decoding is strict, because anybody can send messages to the server. [Parse] accepts a message only if its first two
// bits are zero, it has the magic cookie, its length field is a multiple of four and equals the number of bytes after
// the header, and every attribute ends inside the message. FINGERPRINT, if present, must be correct and the last
// attribute. A Message hides attributes after MESSAGE-INTEGRITY, as RFC 8489 section 14.5 requires. Parse does not copy
// attributes or allocate memory, because a [Message] is a view of the caller's buffer.
//
// A [Builder] encodes a message. It appends attributes in the order of the calls. Its Integrity method signs all
// attributes before it.
//
// Package engine uses Pion's own codec. The server parses each message with this package first, because
// github.com/pion/stun/v2 v2.0.0 can panic on malformed messages, does not apply RFC 8489 section 14.5, and allocates
// memory for every message.
package wire
