// Package dtlsgate stands between a UDP socket and the DTLS connections behind it.
// It does no I/O: a [PacketConn] is given the datagrams and a function that sends them.
//
// # Cookies
//
// A ClientHello costs its sender nothing, may come from a forged address, and would
// make the server keep a connection for it. So the response to the first one is a
// HelloVerifyRequest whose cookie is signed, not stored (RFC 6347 section 4.2.1). A client
// that returns the cookie has proved that it receives packets at its address, and only then
// does the server create a connection. There is one response, and it is shorter than the
// ClientHello.
//
// A fragmented ClientHello is dropped, because the gate stores no fragments; OpenSSL's
// DTLSv1_listen does the same. The ClientHello of DTLS 1.2 fits into one datagram.
//
// # Records
//
// A record that is not encrypted may be forged. After the handshake, a connection accepts
// only encrypted records; see [Sealed].
package dtlsgate
