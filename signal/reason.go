package signal

// Reason is the reason for which a client, or a connection of a client, ended. It determines the close code or the bye that
// the client receives. The client has nothing else by which to decide whether to reconnect:
//
//	Reason             metric label  WebSocket close code      native "bye"    "reconnect"
//	Gone               gone          1000                      -
//	PongTimeout        pong_timeout  1008                      -
//	SlowReader         slow_reader   1008                      slow-reader     true
//	WriteFailed        write_failed  1008                      slow-reader     true
//	Superseded         superseded    1008                      -
//	TooLarge           too_large     1009                      too-large       true
//	BadText            bad_text      1007                      protocol        true
//	Stalled            stalled       1008                      protocol        true
//	Restarting         restarting    1012                      restarting      true
//	InternalError      broken        1011                      error           true
//	ResumeTimeout      lapsed        no connection is left     -
//	Overflowed         overflowed    1000                      -
//	Replaced           replaced      1000                      replaced        false
//	TransportReplaced  elsewhere     1000                      elsewhere       false
//	Expired            expired       1008                      token-expired   true
//	SignInTimeout      unsaid        1008                      -
//	Refused            refused       1008                      -
//
// Package websocket maps reasons to close codes, and package native maps them to byes. These are the exceptions:
//
//   - After SlowReader, WriteFailed, PongTimeout and Superseded, if a write is blocked, the hub cuts the connection without
//     a close frame or bye.
//   - When a client violates RFC 6455, package websocket closes with 1002; the reason is then Gone.
//   - A native session that does not answer a ping loses its transport, but does not end: it can be resumed.
//   - Server-sent events have no close code: the stream only ends.
//
// Which clients reconnect:
//
//   - The SDK reconnects after a bye with "reconnect":true, and whenever a connection ends without a bye. It first tries to
//     resume its session, and signs in again if the server answers resync. It stops after "reconnect":false, and after
//     token-expired if it has no function that returns a new token.
//   - The Go client (package client) resumes its session after "restarting" and when a connection ends without a bye. Every
//     other bye ends it, and its caller decides.
//   - Clients of the other protocols get the close code only, after an error message if their protocol has one. PocketBase's
//     SDK, y-webrtc and Trystero open a new connection after any close. A PeerJS client does so only if its page calls
//     reconnect, which it cannot do after an ERROR message; such a message is therefore not sent with Restarting.
type Reason uint8

const (
	// Gone means that the client closed the connection, or that the network did.
	Gone Reason = iota
	// PongTimeout means that a ping got no answer within [Options.PongWithin].
	PongTimeout
	// SlowReader means that the client's queue was full, or that too many bytes were waiting for clients.
	SlowReader
	// WriteFailed means that a write failed or took longer than [Options.WriteWait].
	WriteFailed
	// Superseded means that another connection took over the name, because this one did not answer or belongs to the same
	// client.
	Superseded
	// TooLarge means that the client sent a message longer than [Limits.MaxMessage].
	TooLarge
	// BadText means that the client sent a text frame that is not UTF-8. RFC 6455 section 8.1 requires closing.
	BadText
	// Stalled means that the client began a message and did not complete it in time.
	Stalled
	// Restarting means that the hub is shutting down.
	Restarting
	// InternalError means that the code that serves the client panicked.
	InternalError
	// ResumeTimeout means that the client lost its connection and did not resume within [Limits.ResumeWithin].
	ResumeTimeout
	// Overflowed means that the client lost its connection, and that the messages for it exceeded the replay buffer.
	Overflowed
	// Replaced means that a newer session or stream of the same client took its place.
	Replaced
	// TransportReplaced means that the session continues over another connection. It ends a connection, but not the client.
	TransportReplaced
	// Expired means that the client's token has expired, or that its account was removed or got another password.
	Expired
	// SignInTimeout means that the client did not sign in, or subscribe, in time, or that too many of its attempts to sign
	// in were refused.
	SignInTimeout
	// Refused means that the server refused the client something that its protocol needs to continue.
	Refused
	reasons
)

// String returns the reason's metric label.
func (r Reason) String() string {
	return [...]string{
		"gone", "pong_timeout", "slow_reader", "write_failed", "superseded", "too_large", "bad_text", "stalled",
		"restarting", "broken", "lapsed", "overflowed", "replaced", "elsewhere", "expired", "unsaid", "refused", "unknown",
	}[min(r, reasons)]
}
