// Package wire has the messages of the native protocol as Go types. A client sends a [Request], and the server sends a
// [Message]. Package native specifies the protocol. This package only encodes and decodes; it has no connections.
package wire

// Version is the version of the protocol. A hello has it in its member "v".
const Version = 1

// Subprotocol is the WebSocket subprotocol of this protocol.
const Subprotocol = "icebox.v1"

// Types of messages that clients send.
const (
	Hello   = "hello"
	Ack     = "ack" // the server sends it too
	Ping    = "ping"
	Send    = "send"
	Watch   = "watch"
	Unwatch = "unwatch"
	Create  = "create"
	Join    = "join"
	Leave   = "leave"
	Hangup  = "hangup"
	ICE     = "ice" // the server sends it too
	Renew   = "renew"
	Bye     = "bye" // the server sends it too
)

// Types of messages that only the server sends.
const (
	Welcome     = "welcome"
	Resumed     = "resumed"
	Pong        = "pong"
	OK          = "ok"
	Fail        = "error"
	Delivery    = "message"
	Gone        = "gone"
	Presence    = "presence"
	Created     = "created"
	Joined      = "joined"
	PartyJoined = "party-joined"
	PartyLeft   = "party-left"
	Ended       = "ended"
)

// Kinds of messages between clients that have a meaning for the server. The server only passes on messages of all other
// kinds.
const (
	KindOffer     = "offer"
	KindAnswer    = "answer"
	KindCandidate = "candidate"
	KindLeave     = "leave"
)
