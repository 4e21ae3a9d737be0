// Package engine keeps the state machine of TURN allocations, permissions and
// channels (RFC 8656 sections 6 to 12). The state machine and its timers are
// Pion's, github.com/pion/turn/v3. This package turns each request to it into a synchronous call.
//
// # How Pion is driven
//
// A turn.Server reads requests from a net.PacketConn, one after the other on one
// goroutine: ReadFrom, then the authentication and relay-address callbacks, then
// at most one WriteTo, then ReadFrom again. A shard gives it a net.PacketConn
// that exists in memory only. The next ReadFrom therefore proves that the previous
// request is done; if Pion has not called WriteTo by then, it did not respond. Pion's
// goroutine and the caller's take turns, see handoff. There are as many shards as cores;
// an allocation lives in one of them.
//
// # What Pion never sees
//
// Pion never sees a byte from the network. Package turnserver has parsed, authenticated
// and checked a request before it calls this package, which writes a canonical request of
// its own, signed with a key that only the engine has. So defects of Pion v3's parser,
// framing and authentication have no effect, and its state machine, which is right, is used.
//
// # Allocations
//
// Every [Allocation] has a synthetic source address made from its id, so that two
// 5-tuples never share an address in Pion, and a late timer of an ended allocation cannot
// affect a new one. Pion asks for the relayed transport address through the open callback,
// and reports the end of the allocation through the closed callback, exactly once,
// whatever ended it. No packet is relayed here: the relay socket that Pion is given
// is a stub.
package engine
