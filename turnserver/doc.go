// Package turnserver relays packets for authenticated users within limits: it is a
// STUN server (RFC 8489) and a TURN server (RFC 8656) over UDP, TCP, TLS and DTLS.
//
// # How a message travels
//
// A [Server] is handed sockets, listeners and connections and owns them from then
// on; it never listens itself. It is made of three parts.
//
// The front (udp.go, stream.go, dtls.go, request.go) reads datagrams, cuts streams into
// messages and tells STUN, ChannelData and DTLS apart by the first byte. It
// answers Binding requests, drops what is not well-formed, authenticates, and admits TURN
// requests in the order that the RFCs give. A client without an allocation costs no
// memory on UDP: nonces are signed, not stored, and so are the cookies of DTLS (package dtlsgate).
//
// The engine (package engine) is Pion's state machine of allocations,
// permissions and channels, timers included. It is called with requests that the front has
// vetted, and what it grants is mirrored in the session's flow table.
//
// The relay (relay.go, data.go) is icebox's own data plane. ChannelData, Send
// indications and what peers send pass through no lock that sessions share, allocate
// nothing and log nothing. A packet for a relayed address of this very server is
// handed over inside the process, with the sender's advertised relayed address as its source.
//
// # Sessions
//
// A session is one 5-tuple with a live allocation: a plain value that belongs to a
// path, the socket or stream its client came by. UDP sockets are read by the loops of
// package packetio, on Linux as many as there is work for; the relay sockets of a UDP client belong to the worker of the
// client's own socket, so that one goroutine at a time has all of its packets. One goroutine reads each
// connection. The goroutine that has a message for a stream writes it at the end of its round; only while
// a client is slow, a goroutine of its own waits for it. See package streamio.
//
// A session keeps the key it was made with. It may be refreshed past the expiry of its
// credential, and past the removal of its secret, until it is older than
// Options.MaxSessionAge; only Allocate asks whether a credential has expired.
//
// # Address families
//
// A client that names no family gets an IPv4 address (RFC 8656 section 7.2). If the server has none, the client gets an
// IPv6 address instead of error 440, because browsers never name a family. A client that names a family gets an address
// of that family or error 440. A client that reached the server over IPv6 is treated in the same way. Loopback
// addresses of [Options].RelayAddrs count only for clients that reached a loopback address, unless there are no others.
//
// # Peers
//
// Exact live relayed addresses of this server are allowed as peers; every other
// port of the host's own addresses is not; package peer decides about the rest. A
// permission is for an IP address, so rules with ports act on ChannelBind and on each packet.
package turnserver
