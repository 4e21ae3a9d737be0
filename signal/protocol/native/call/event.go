package call

import (
	"net/netip"

	"icebox/signal/broker"
)

// Party is a client in a call.
type Party interface {
	// Addr identifies the party.
	Addr() broker.Addr
	// Name is the party's name, or "".
	Name() string
	// User identifies the user for [signal.CallLimits.OnePerUser]. Several parties may be the same user.
	User() string
	// AddrKey identifies the party's address for [signal.CallLimits.KeptPerAddr].
	AddrKey() netip.Addr
	// Notify passes an event on to the party. The call's lock is held, so Notify must not block and must not call the
	// Registry. Only a Message may fail, with an *signal.Error.
	Notify(Event) error
}

// EventKind is the kind of an [Event].
type EventKind uint8

// The kinds of events. Event.From is the party that caused it; Unjoined and Empty have none.
const (
	Joined   EventKind = iota // a party has joined
	Left                      // a party has left the call, and may join it again
	Gone                      // a party's session has ended
	Message                   // a party has sent Label and Data
	Kept                      // a Message from the time when its sender was alone
	Hangup                    // a party has ended the call
	Unjoined                  // the call has ended because nobody joined in time
	Empty                     // the call has ended because it was empty; no party is left to be notified
)

// Event is something that has happened in a call.
type Event struct {
	Kind     EventKind
	Call     string      // the ID
	From     broker.Addr // zero if no party caused it
	FromName string
	Label    string // the kind of a Message or Kept, such as "offer"
	Data     []byte // the payload of a Message or Kept; that of a Message is valid only during Notify
}
