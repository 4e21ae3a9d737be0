// Package engine keeps the state machine of TURN allocations, permissions and
// channels (RFC 8656 sections 6 to 12). The state machine and its timers are
// Pion's, github.com/pion/turn/v3; this package makes a synchronous call of it.
//
// # How Pion is driven
//
// A turn.Server reads requests from a net.PacketConn, one after the other on one
// goroutine: ReadFrom, then the authentication and relay-address callbacks, then
// at most one WriteTo, then ReadFrom again. A shard hands it such a net.PacketConn
// that exists in memory only. The next ReadFrom therefore proves that the previous
// request is done, and if no WriteTo came in between, Pion kept silent. Pion's goroutine
// and the caller's take turns, see crossing. There are as many shards as cores; an allocation lives in one of them.
//
// # What Pion never sees
//
// A byte from the network. The server in front (package turnserver) has parsed,
// authenticated and vetted a request before it calls this package, which writes a
// canonical request of its own, signed with a key that only the engine has. That
// closes the defects of Pion v3's parser, framing and authentication, and leaves it
// the part that is right.
//
// # What it hands out
//
// Every [Allocation] has a synthetic source address made from its id, so that two
// 5-tuples never meet in Pion and a late timer of a dead allocation can't touch a
// new one. Pion asks for the relayed transport address through the open callback,
// and reports the end of the allocation through the closed callback, exactly once,
// whatever ended it. No packet is relayed here: the socket that Pion believes to own
// is a stub.
package engine
