// Package wire reads and writes what TURN puts on the network: STUN messages
// (RFC 8489 section 5), their attributes (RFC 8489 section 14, RFC 8656 section
// 18) and ChannelData messages (RFC 8656 section 12.4). It does no I/O.
//
// Reading is strict, because every byte comes from a stranger. [Parse] accepts a
// message only if its first two bits are zero, the magic cookie is there, the
// length is a multiple of four and equals what follows the header, every
// attribute ends inside the message and FINGERPRINT, where present, comes last and
// is right. Attributes behind MESSAGE-INTEGRITY do not exist for the reader, with
// the exceptions of RFC 8489 section 14.5. Nothing is copied and nothing is
// allocated: a [Message] is a view of the caller's buffer.
//
// Writing goes through [Builder], which appends attributes one after the other and
// signs the message as it is so far.
//
// The engine that keeps the TURN state uses Pion's own codec; this one stands in
// front of it because github.com/pion/stun/v2 v2.0.0 can panic on malformed
// messages, does not apply RFC 8489 section 14.5 and allocates for every message.
package wire
