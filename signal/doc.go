// Package signal delivers messages between clients that want to set up a WebRTC call. This package is the
// core: it knows clients, names, pairs and queues, and no wire protocol. Nothing in the tree below it listens;
// cmd/icebox hands package gateway's handlers to its HTTP servers.
//
//	gateway   who may connect and from where, routes, ICE servers over HTTP
//	classic   the login/offer/answer/candidate/leave protocol of the tutorials
//	peerjs    the server side of PeerJS clients
//	topic     publish and subscribe, for protocols that know no clients
//	ywebrtc   y-webrtc's signalling, by topics
//	trystero  Trystero's WebSocket relay, by topics
//	native    our own protocol: sessions that outlive connections, over WebSocket and server-sent events
//	pocketbase PocketBase's records and realtime, as far as calls by ID need them
//	call      calls by ID, and what a late joiner is told
//	token     JSON Web Tokens and the keys that verify them
//	client    a Go client of the native protocol
//	object    JSON objects whose members pass through unread
//	socket    a WebSocket as the core's Conn, and the loop that reads them all
//	sse       an event stream as the core's Conn
//	broker    who holds which name, on which node
//	rate      token buckets
//
// # Clients and names
//
// A [Client] is one connection. Its identity is a random ID that nobody can guess; its name is an attribute
// that it claims by signing in, unique over all nodes of the broker. Whatever a client writes, messages
// carry the ID and the name that its hub knows it by.
//
// Names are freed when a connection dies, however it dies:
//
//   - every client is pinged once in [Options.PingEvery]; one that doesn't answer within [Options.PongWithin]
//     is ended. Anything that comes counts as an answer;
//   - who claims a name that is held makes the hub ping the holder at once. If nothing comes back within
//     [Options.ProbeWait] the holder is ended and the newcomer gets the name (a page that was reloaded while
//     its network was gone), otherwise the newcomer is refused;
//   - a connection that closes late can't free a name that somebody else holds by then.
//
// # Spaces
//
// Others' protocols have their names in spaces of their own ([Profile.Space]): who signs in there can neither take nor reach a name of
// another space, whatever it writes, and finds nobody but its like. icebox's own protocols and the classic one share the space
// that has no name.
//
// # Pairs
//
// An offer makes sender and recipient a pair. Answers, candidates and a leave pass only within a pair, which
// both ends check, each in its own state, so no strange client can hang up a call or slip candidates into
// it. A pair is between IDs: who takes over a name doesn't inherit the calls of its last holder. It ends with
// a leave from either side, or with the client. Each client remembers its latest 32; the ones it never
// answered go first.
//
// A protocol that knows clients by ID too ([Profile.ByID]) has notes besides: messages that need no pair, and make one. Who is
// in a pair with a client that ends is sent a leave that says so.
//
// # Connections that outlive their transports
//
// A [Resumable] connection is one whose protocol can go on with it over another transport. It keeps its client, and the
// client its name, when a ping is not answered; until when is its own business. A name that such a client holds
// goes to nobody else meanwhile, except by [Client.TakeOver].
//
// # Queues
//
// What a client is sent waits in a queue of its own, bounded in messages and in bytes. Nobody ever waits for
// another client's socket: a sender appends, writes what the socket takes at once ([NonblockingConn]) and goes on, and a
// goroutine lives for as long as something has to wait. The policy when a queue is full is to cut the reader off ([SlowReader]). Before that,
// a single sender that fills a quarter of somebody's queue is told that the peer is busy, so that one client
// can't get another cut off by flooding it. A write that takes longer than [Options.WriteWait] ends the
// client too.
//
// What waits for all clients of one address, and for all there are, is bounded as well, beyond 16 KiB in each queue ([Limits.WaitingPerAddr]).
// Who has more than that when no more can be borrowed is the slow reader; a message for who hasn't is refused as for a busy peer.
//
// # Rates
//
// A client that sends faster than its limit is not answered with losses, since a lost candidate can cost a
// call: it is told once, and then its socket is read at the allowed rate. Large messages count for more
// than one (one more for every 16 KiB).
//
// # Shutdown
//
// [Hub.Shutdown] refuses new connections and sign-ins, tells every client to reconnect, and returns when the
// last one has gone, or cuts them off when its context ends. Every goroutine of this package and its adapters
// has ended by then.
package signal
