package signal

import (
	"context"
	"errors"

	"icebox/signal/broker"
)

// Error is a refusal that is sent to the client. Use errors.Is to compare it with the variables below.
type Error struct {
	// Code identifies the refusal in every protocol and in metrics. It never changes, because clients' programs depend on it.
	Code string
	// Message is a sentence for humans. It may change.
	Message string
}

func (e *Error) Error() string { return e.Message }

// All refusals.
var (
	ErrBadMessage  = &Error{"bad-message", "the message is not a JSON object with the required members"}
	ErrBinary      = &Error{"binary-frame", "binary frames are not supported: send JSON in text frames"}
	ErrUnknownType = &Error{"unknown-type", "the type of the message is unknown"}
	ErrTooLarge    = &Error{"message-too-large", "the message is larger than this server allows"}
	ErrRateLimited = &Error{"rate-limited", "too many messages: the server reads them more slowly from now on, and drops none"}
	ErrNotSignedIn = &Error{"not-signed-in", "sign in before sending to others"}
	ErrBadName     = &Error{"bad-name", "a name consists of 1 to 128 bytes of UTF-8 without control characters"}
	ErrNameTaken   = &Error{"name-taken", "another client is signed in under this name"}
	ErrPeerOffline = &Error{"peer-offline", "no client has this name or ID"}
	ErrPeerBusy    = &Error{"peer-busy", "too many of your messages are waiting for this peer"}
	ErrNotPaired   = &Error{"not-paired", "there is no call between you and this peer"}
	ErrMintLimited = &Error{"mint-limited", "too many requests for TURN credentials: try again in a minute"}
	ErrUnsupported = &Error{"peer-unsupported", "the peer's protocol does not support this message"}
	ErrUnavailable = &Error{"unavailable", "the server cannot do this now: try again later"}
	ErrRestarting  = &Error{"restarting", "the server is about to restart: connect again in a moment"}

	// Access by token, in every protocol.
	ErrTokenMissing   = &Error{"token-missing", "this server requires a token"}
	ErrTokenInvalid   = &Error{"token-invalid", "the token is not valid on this server"}
	ErrTokenExpired   = &Error{"token-expired", "the token has expired"}
	ErrNameNotAllowed = &Error{"name-not-allowed", "the token is for another name"}

	// Refusals by the gateway, in protocols that have a message for them.
	ErrOrigin    = &Error{"origin-not-allowed", "pages of this origin may not connect here"}
	ErrConnLimit = &Error{"connection-limit", "too many connections: try again later"}

	// Topics.
	ErrBadTopic   = &Error{"bad-topic", "a topic has 1 to 256 bytes"}
	ErrTopicLimit = &Error{"topic-limit", "too many topics: unsubscribe from one first"}
	ErrTopicFull  = &Error{"topic-full", "this topic already has as many subscribers as the server allows"}
	ErrTopicAddr  = &Error{"topics-per-address", "too many subscriptions from your address"}
	ErrTopics     = &Error{"topics-full", "this server already has as many subscriptions as it allows: try again later"}

	// Sessions and calls of the native protocol.
	ErrVersion     = &Error{"version", "this server supports version 1 of the protocol only"}
	ErrSignedIn    = &Error{"signed-in", "this connection is already signed in"}
	ErrResync      = &Error{"resync", "the session has ended: sign in again"}
	ErrOutOfOrder  = &Error{"out-of-order", "a message with a lower number is missing: resend all messages from that number on"}
	ErrTooMany     = &Error{"too-many-requests", "too many requests of this session are being handled: wait for their replies"}
	ErrWatchLimit  = &Error{"watch-limit", "too many watched names"}
	ErrNoSuchCall  = &Error{"no-such-call", "no call has this ID: the call may have ended"}
	ErrCallFull    = &Error{"call-full", "this call already has as many parties as it allows"}
	ErrCallBarred  = &Error{"call-not-allowed", "the token does not allow this call"}
	ErrCallLimit   = &Error{"call-limit", "too many calls: leave one, or try again later"}
	ErrInCall      = &Error{"in-call", "you are already in a call"}
	ErrNotInCall   = &Error{"not-in-call", "join the call first"}
	ErrCallCrowded = &Error{"call-full-of-data", "this call already stores as many messages as it may for clients that join later"}
	// ErrCallsCrowded is for the limits on all calls together, and on the messages of one address to all calls.
	ErrCallsCrowded = &Error{"calls-full-of-data", "too many messages wait for clients that join later: try again when somebody has joined"}
)

// refusals lists all refusals, so that the metric of each exists from the start.
var refusals = []*Error{
	ErrBadMessage, ErrBinary, ErrUnknownType, ErrTooLarge, ErrRateLimited, ErrNotSignedIn, ErrBadName,
	ErrNameTaken, ErrPeerOffline, ErrPeerBusy, ErrNotPaired, ErrMintLimited, ErrUnavailable, ErrRestarting,
	ErrUnsupported, ErrTokenMissing, ErrTokenInvalid, ErrTokenExpired, ErrNameNotAllowed,
	ErrVersion, ErrSignedIn, ErrResync, ErrOutOfOrder, ErrTooMany, ErrWatchLimit,
	ErrOrigin, ErrConnLimit, ErrBadTopic, ErrTopicLimit, ErrTopicFull, ErrTopicAddr, ErrTopics,
	ErrNoSuchCall, ErrCallFull, ErrCallBarred, ErrCallLimit, ErrInCall, ErrNotInCall, ErrCallCrowded, ErrCallsCrowded,
}

// toRefusal converts an error of the broker to the refusal that is sent to the client.
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

// isCanceled reports whether err only means that the caller stopped waiting. Such an error is not worth logging.
func isCanceled(err error) bool { return errors.Is(err, context.Canceled) }
