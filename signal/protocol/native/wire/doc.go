// Package wire has the messages of the native protocol, which package native specifies, as Go types: what a
// client sends is a [Request], what a server sends is a [Message]. It knows no connection and no session.
package wire

// Version is the protocol's.
const Version = 1

// Subprotocol is what a WebSocket asks for to speak it.
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

// Kinds of messages between clients that mean something to the server.
const (
	KindOffer     = "offer"
	KindAnswer    = "answer"
	KindCandidate = "candidate"
	KindLeave     = "leave"
)
