package wire

import (
	"maps"
	"slices"
)

// Code is an ERROR-CODE (RFC 8489 section 14.8, RFC 8656 section 19).
type Code int

// The error codes of icebox's responses.
const (
	TryAlternate           Code = 300
	BadRequest             Code = 400
	Unauthorized           Code = 401
	Forbidden              Code = 403
	UnknownAttribute       Code = 420
	AllocationMismatch     Code = 437
	StaleNonce             Code = 438
	FamilyNotSupported     Code = 440
	WrongCredentials       Code = 441
	UnsupportedTransport   Code = 442
	PeerFamilyMismatch     Code = 443
	AllocationQuotaReached Code = 486
	ServerError            Code = 500
	InsufficientCapacity   Code = 508
)

var reasons = map[Code]string{
	TryAlternate:           "Try Alternate",
	BadRequest:             "Bad Request",
	Unauthorized:           "Unauthorized",
	Forbidden:              "Forbidden",
	UnknownAttribute:       "Unknown Attribute",
	AllocationMismatch:     "Allocation Mismatch",
	StaleNonce:             "Stale Nonce",
	FamilyNotSupported:     "Address Family not Supported",
	WrongCredentials:       "Wrong Credentials",
	UnsupportedTransport:   "Unsupported Transport Protocol",
	PeerFamilyMismatch:     "Peer Address Family Mismatch",
	AllocationQuotaReached: "Allocation Quota Reached",
	ServerError:            "Server Error",
	InsufficientCapacity:   "Insufficient Capacity",
}

// Codes returns all codes of this package, so that the metric of each code can start at 0.
func Codes() []Code {
	return slices.Sorted(maps.Keys(reasons))
}

// Reason returns the reason phrase of the code in the RFC.
func (c Code) Reason() string { return reasons[c] }
