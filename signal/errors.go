package signal

import (
	"context"
	"errors"

	"icebox/signal/broker"
)

// Error is a refusal that the client is told. Compare with errors.Is against the variables below.
type Error struct {
	// Code is stable: programs decide by it, in every protocol. It is the metric label too.
	Code string
	// Message is a sentence for people. It may change.
	Message string
}

func (e *Error) Error() string { return e.Message }

// Every refusal there is.
var (
	ErrBadMessage  = &Error{"bad-message", "the message is not a JSON object with the members it needs"}
	ErrBinary      = &Error{"binary-frame", "binary frames are not understood: send JSON as text"}
	ErrUnknownType = &Error{"unknown-type", "the message has a type that is not known"}
	ErrTooLarge    = &Error{"message-too-large", "the message is larger than this server allows"}
	ErrRateLimited = &Error{"rate-limited", "too many messages: they are read more slowly from now on, none is lost"}
	ErrNotSignedIn = &Error{"not-signed-in", "sign in before sending to others"}
	ErrBadName     = &Error{"bad-name", "a name has 1 to 128 bytes of UTF-8 without control characters"}
	ErrNameTaken   = &Error{"name-taken", "somebody else is signed in under this name"}
	ErrPeerOffline = &Error{"peer-offline", "nobody is signed in under this name"}
	ErrPeerBusy    = &Error{"peer-busy", "too many of your messages are waiting for this peer"}
	ErrNotPaired   = &Error{"not-paired", "there is no call between you and this peer"}
	ErrMintLimited = &Error{"mint-limited", "too many TURN credentials were asked for: try again in a minute"}
	ErrUnsupported = &Error{"peer-unsupported", "the peer's protocol has no such message"}
	ErrUnavailable = &Error{"unavailable", "the server can't do this now: try again later"}
	ErrRestarting  = &Error{"restarting", "the server is about to restart: connect again in a moment"}

	// Of access by token, in every protocol.
	ErrTokenMissing   = &Error{"token-missing", "this server wants a token"}
	ErrTokenInvalid   = &Error{"token-invalid", "the token is not good here"}
	ErrTokenExpired   = &Error{"token-expired", "the token has expired"}
	ErrNameNotAllowed = &Error{"name-not-allowed", "the token is for another name"}

	// Of the gateway, where a protocol has words for what it refuses.
	ErrOrigin    = &Error{"origin-not-allowed", "pages of this origin may not connect here"}
	ErrConnLimit = &Error{"connection-limit", "too many connections: try again later"}

	// Of topics.
	ErrBadTopic   = &Error{"bad-topic", "a topic has 1 to 256 bytes"}
	ErrTopicLimit = &Error{"topic-limit", "too many topics: unsubscribe from one first"}
	ErrTopicFull  = &Error{"topic-full", "as many as may have subscribed to this topic already"}
	ErrTopicAddr  = &Error{"topics-per-address", "too many subscriptions from your address"}
	ErrTopics     = &Error{"topics-full", "this server has as many subscriptions as it may: try again later"}

	// Of sessions and what one can do in them.
	ErrVersion     = &Error{"version", "this server speaks version 1 of the protocol"}
	ErrSignedIn    = &Error{"signed-in", "this connection has signed in already"}
	ErrResync      = &Error{"resync", "the session is over: sign in anew"}
	ErrOutOfOrder  = &Error{"out-of-order", "a message with a lower number is missing: send again from there"}
	ErrTooMany     = &Error{"too-many-requests", "too many requests of this session are under way: wait for their answers"}
	ErrWatchLimit  = &Error{"watch-limit", "too many names to watch"}
	ErrNoSuchCall  = &Error{"no-such-call", "no call has this ID: it may have ended"}
	ErrCallFull    = &Error{"call-full", "as many as may are in this call already"}
	ErrCallBarred  = &Error{"call-not-allowed", "the token doesn't allow this call"}
	ErrCallLimit   = &Error{"call-limit", "too many calls: leave one, or try again later"}
	ErrInCall      = &Error{"in-call", "you are in a call already"}
	ErrNotInCall   = &Error{"not-in-call", "join the call first"}
	ErrCallCrowded = &Error{"call-full-of-data", "the call keeps as much as it may for who joins"}
	// ErrCallsCrowded is about all calls together, or all that one address has sent to.
	ErrCallsCrowded = &Error{"calls-full-of-data", "too much waits for people who have yet to join calls: try again when somebody has joined"}
)

// refusals is the closed list of metric labels.
var refusals = []*Error{
	ErrBadMessage, ErrBinary, ErrUnknownType, ErrTooLarge, ErrRateLimited, ErrNotSignedIn, ErrBadName,
	ErrNameTaken, ErrPeerOffline, ErrPeerBusy, ErrNotPaired, ErrMintLimited, ErrUnavailable, ErrRestarting,
	ErrUnsupported, ErrTokenMissing, ErrTokenInvalid, ErrTokenExpired, ErrNameNotAllowed,
	ErrVersion, ErrSignedIn, ErrResync, ErrOutOfOrder, ErrTooMany, ErrWatchLimit,
	ErrOrigin, ErrConnLimit, ErrBadTopic, ErrTopicLimit, ErrTopicFull, ErrTopicAddr, ErrTopics,
	ErrNoSuchCall, ErrCallFull, ErrCallBarred, ErrCallLimit, ErrInCall, ErrNotInCall, ErrCallCrowded, ErrCallsCrowded,
}

// toRefusal turns what a broker answered into what a client is told.
func toRefusal(err error) *Error {
	var refused *Error
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, broker.ErrTaken):
		return ErrNameTaken
	case errors.Is(err, broker.ErrOffline):
		return ErrPeerOffline
	case errors.Is(err, broker.ErrBusy):
		return ErrPeerBusy
	case errors.Is(err, broker.ErrUnsupported):
		return ErrUnsupported
	case errors.Is(err, broker.ErrLeft):
		return ErrRestarting
	default:
		return ErrUnavailable
	}
}

// isCanceled reports whether err only says that the caller stopped waiting, which is nothing to log.
func isCanceled(err error) bool { return errors.Is(err, context.Canceled) }

// Reason says why a client ended. It decides what the client is told when its connection closes.
type Reason uint8

const (
	// Gone means that the client closed the connection, or the network did.
	Gone Reason = iota
	// PongTimeout means that a ping got no answer.
	PongTimeout
	// SlowReader means that its queue was full.
	SlowReader
	// WriteFailed means that a write failed or took too long.
	WriteFailed
	// Superseded means that a newcomer took the name over, because this connection didn't answer.
	Superseded
	// TooLarge means that it sent a message above the limit.
	TooLarge
	// BadText means that it sent a text frame that isn't UTF-8, for which RFC 6455 section 8.1 demands the end.
	BadText
	// Stalled means that it began a message and didn't end it in time.
	Stalled
	// Restarting means that the hub shuts down.
	Restarting
	// InternalError means that the code that serves it panicked.
	InternalError
	// ResumeTimeout says that its connection was lost and not resumed in time.
	ResumeTimeout
	// Overflowed says that its connection was lost, and more came for it than is kept.
	Overflowed
	// Replaced says that a new session of the same client took its place.
	Replaced
	// TransportReplaced says that the session goes on over another connection. It ends connections, not clients.
	TransportReplaced
	// Expired says that its token has expired.
	Expired
	// SignInTimeout says that no sign-in came in time. It ends connections that are no clients yet.
	SignInTimeout
	// Refused says that it was refused what its protocol can't go on without.
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
