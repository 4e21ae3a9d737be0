package turnserver

import (
	"net/netip"

	"icebox/turnserver/packetio"
)

// path sends messages to clients: to those of one UDP socket, or to the one client of a stream.
type path interface {
	transport() Transport
	// local returns the address that clients of this path send to.
	local() netip.AddrPort
	// worker returns the packetio worker that serves the relay sockets of this path's clients.
	worker() int
	// send sends one message to a client, or drops it if the client is slow. It never blocks. When it returns, the payload
	// of p may be overwritten; send may change p.Addr.
	send(remote netip.AddrPort, p *packetio.Packet)
	// session returns the session of a client, or nil if it has none.
	session(remote netip.AddrPort) *session
	// attach makes sess the session of its client.
	attach(sess *session)
	// detach removes sess if it is still the session of its client.
	detach(sess *session)
}
