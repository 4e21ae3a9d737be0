// Package turnserver relays packets for authenticated users within limits: it is a
// STUN server (RFC 8489) and a TURN server (RFC 8656) over UDP, TCP, TLS and DTLS.
//
// # The route of a message
//
// A [Server] gets sockets, listeners and connections from its caller and owns them from then on. It never listens itself. It
// has three parts.
//
// The front (udp.go, stream.go, dtls.go, request.go) reads datagrams, splits streams into messages and tells STUN, ChannelData
// and DTLS apart by the first byte. It responds to Binding requests, drops malformed messages, authenticates, and admits TURN
// requests in the order that the RFCs give. A client without an allocation costs no memory on UDP, because nonces and DTLS
// cookies (package dtlsgate) are signed and not stored.
//
// The engine (package engine) is Pion's state machine of allocations, permissions and channels, including their timers. It gets
// only requests that the front has checked. The session's flow table mirrors its permissions and channels.
//
// The relay (relay.go, data.go) is icebox's own data plane. It takes no lock that sessions share, allocates nothing and logs
// nothing for ChannelData, Send indications and packets from peers. A packet for a relayed address of this server is delivered
// within the process, with the sender's advertised relayed address as its source.
//
// # Sessions
//
// A session is one 5-tuple with a live allocation. It belongs to a path, which is the socket or stream of its client.
// The loops of package packetio read UDP sockets. The relay sockets of a UDP client belong to the same worker as the
// client's socket, so one goroutine at a time handles all of its packets. Each stream has a goroutine that reads it. A
// goroutine that has messages for a stream writes them together, after it has handled all packets that it read at once.
// If a client reads slowly, another goroutine writes the rest; see package streamio.
//
// A session keeps the key that it was created with. It may be refreshed after its credential has expired or its secret has been
// removed, until it is older than Options.MaxSessionAge. Only Allocate checks the expiry of a credential.
//
// # Address families
//
// A client that names no family gets an IPv4 address (RFC 8656 section 7.2). If the server has none, the client gets an
// IPv6 address instead of error 440, because browsers never name a family. A client that names a family gets an address
// of that family or error 440. The same is true for clients that reached the server over IPv6. Loopback addresses of
// [Options].RelayAddrs count only for clients that reached a loopback address, unless there are no others.
//
// # Peers
//
// The live relayed addresses of this server are allowed as peers. Every other port of the host's own addresses is denied.
// Package peer decides about all other addresses. A permission is for an IP address, so rules with ports apply to ChannelBind
// and to each packet.
package turnserver
