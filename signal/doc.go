// Package signal delivers messages between clients that want to set up a WebRTC call. It is the core of the signalling hub:
// it manages clients, names, pairs and queues, and knows no wire protocol. Neither this package nor any package below it
// opens a listener; cmd/icebox passes the handlers of package gateway to its HTTP servers.
//
//	gateway              access control, limits on connections, routes, ICE servers over HTTP
//	protocol/classic     the login/offer/answer/candidate/leave protocol of WebRTC tutorials
//	protocol/native      icebox's own protocol: sessions that outlive connections, over WebSocket and server-sent events
//	protocol/native/call calls by ID, and the messages that are stored for a late joiner
//	protocol/peerjs      the server side of PeerJS
//	protocol/pocketbase  PocketBase's records and realtime API, as far as calls by ID need them
//	protocol/topics      publish and subscribe, for y-webrtc and Trystero
//	websocket            an implementation of Conn over WebSockets, and the poller that reads them
//	sse                  an implementation of Conn over server-sent events
//	broker               finds the client that holds a name, and the node that it is connected to
//	token                JSON Web Tokens and the keys that verify them
//	client               a Go client of the native protocol
//	web                  the SDK and the pages that icebox serves
//	rawjson              JSON objects whose members are forwarded without decoding them
//	rate                 token buckets
//	budget               a limit on the memory used on behalf of clients
//	signaltest           helpers for tests
//
// # Clients and names
//
// A [Client] is one connection. Its identity is a random ID that cannot be guessed. Its name is an attribute that it claims
// by signing in, and is unique over all nodes of the broker. The hub fills in the sender's ID and name of every message, so
// a client cannot pretend to be another one.
//
// A name is released when its client's connection ends, however it ends:
//
//   - The hub pings every client once per [Options.PingEvery], and ends a client that does not answer within
//     [Options.PongWithin]. Any data from the client counts as an answer.
//   - When a client claims a name that is already held, the hub pings the holder at once. If nothing arrives within
//     [Options.ProbeWait], the hub ends the holder, and the claim succeeds. In this way a page that was reloaded while its
//     network was down gets its name back. If the holder answers, the hub refuses the claim.
//   - A connection that closes late cannot release a name that another client holds by then.
//
// # Namespaces
//
// Third-party protocols have names of their own, each in a namespace ([Profile.Namespace]). Nothing that a client writes
// can claim or reach a name in another namespace, so it meets only clients of its own protocol. icebox's native protocol
// and the classic one share the namespace "".
//
// # Pairs
//
// An offer makes its sender and its recipient a pair. The hub delivers answers, candidates and leaves only within a pair.
// Both sides' hubs check this against their own state, so a stranger can neither hang up a call nor inject candidates into
// it. A pair is between IDs: a client that takes over a name does not inherit the calls of the previous holder. A pair ends
// when either side sends a leave or disconnects. Each client remembers its 32 latest pairs. When it has too many, the hub
// first drops the oldest pair in which the client has sent neither an offer, nor a note, nor an answer.
//
// Protocols that also address clients by ID ([Profile.ByID]) have notes: messages that need no pair, but create one. When a
// client ends, each client that it is paired with gets a leave whose Gone field is set.
//
// # Connections that outlive their transports
//
// The protocol of a [Resumable] connection can continue it over another transport. When a ping gets no answer, the
// connection keeps its client, and the client its name, for a time that the protocol chooses. During that time no other
// client gets the name, except through [Client.TakeOver].
//
// # Queues
//
// Each client has an outgoing queue, limited in messages and in bytes. No sender ever waits for another client's socket: it
// appends to the queue, writes as much as the socket accepts without blocking ([NonblockingConn]), and continues. A
// goroutine writes the rest and ends when the queue is empty. The hub disconnects a client whose queue is full
// ([SlowReader]). Before that happens, the hub tells a sender that fills a quarter of the queue that the peer is busy. So
// one client cannot get another one disconnected by flooding it. A write that takes longer than [Options.WriteWait] also
// ends the client.
//
// There are also limits on the queued bytes for all clients of one address and for the whole hub ([Limits.WaitingPerAddr]
// and [Limits.WaitingTotal]). The first 16 KiB of each queue do not count. When such a limit is reached, the hub
// disconnects a recipient with more than 16 KiB waiting as a slow reader. If less is waiting for the recipient, the hub
// tells the sender that the peer is busy.
//
// # Rates
//
// The hub does not drop the messages of a client that sends too fast, because a call can fail when a candidate is lost. It
// tells the client once, and then reads the client's socket at the allowed rate. A large message counts as several: one
// more for every 16 KiB.
//
// # Shutdown
//
// [Hub.Shutdown] refuses new connections and sign-ins, tells every client to reconnect, and returns when the last one has
// disconnected. When its context ends first, it aborts the remaining connections. All goroutines of this package and of the
// packages below it have ended by then.
package signal
