// Package dtlsgate stands between a UDP socket and the DTLS connections behind it.
// It does no I/O: a [PacketConn] is given the datagrams and a function that sends them.
//
// # Cookies
//
// A ClientHello costs its sender nothing, may come from a forged address, and would
// make the server keep a connection for it. So the first one is answered with a
// HelloVerifyRequest whose cookie is signed, not stored (RFC 6347 section 4.2.1): whoever
// sends it back has shown that the address is its own, and only then is there a
// connection. The answer is shorter than the question, and there is one.
//
// A ClientHello that comes in fragments is dropped, for nothing is kept to put it
// together; OpenSSL's DTLSv1_listen does the same. Those of DTLS 1.2 fit into one
// datagram.
//
// # Records
//
// Whatever is not encrypted may be forged. Once a handshake is done nothing plain
// belongs to a connection any more, see [Sealed].
package dtlsgate
