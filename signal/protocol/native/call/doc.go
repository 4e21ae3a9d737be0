// Package call keeps calls by ID: which clients are in each of them, and the messages that a late joiner has to receive.
// It does not depend on a wire protocol or on connections. A client in a call is a [Party], which is notified of
// [Event]s.
//
// # IDs
//
// An ID that a [Registry] generates has 80 random bits in 16 letters and digits, none of which look alike. Every client
// that knows it may join. An ID that a token lists is reserved: only clients whose tokens list it may join, so it need
// not be hard to guess.
//
// # Restarts
//
// Calls live in memory and end with the process. So that the parties can continue a call in the next process, each of
// them gets a proof that it was in the call. The first party that presents its proof to a later process with the same
// secret, within [RestoreWithin] of its start, creates the call again; the others join it. A proof contains the maximum
// number of parties. It cannot be forged, and knowing the ID of the call is not enough.
//
// The process that issued a proof does not accept it, because a call that this process no longer has must have ended. A
// proof is not accepted either for a call that has been restored and has ended since.
//
// # Kept messages
//
// While a party is alone in a call, the messages that it sends to the call are kept for the next client that joins, and
// dropped when that client has received them. For each sender they are its latest description (an offer or answer), then
// its candidates, then its other messages. A candidate that was sent before its description comes after it. A new
// description replaces the previous one and the candidates that followed it, because they belong to a negotiation that will
// never complete.
//
// [signal.CallLimits] limits the bytes that one call keeps, that all calls keep, and that all calls keep from one address;
// maxKept limits the number of messages in one call. The Registry refuses a message above a limit. It never drops kept
// messages to make room.
//
// # How calls end
//
// A call ends when a party hangs up, when nobody has joined in time, or when it has been empty for [EmptyWait]. Its kept
// messages are dropped. Each call has one timer and no goroutine.
//
// # Order
//
// The parties of a call are notified with its lock held, so that all of them see the same order of events. Therefore
// Notify must not block. The response to a joiner is also made with the lock held, so that it precedes all later events.
//
// # More than one process
//
// The calls of a process are known only there. If there were several processes, they would have to agree on the process
// that has a call. The ID could name that process.
package call
