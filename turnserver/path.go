package turnserver

import (
	"net/netip"

	"icebox/turnserver/packetio"
)

// path is the way to the clients behind one UDP socket, or to the one client of a stream.
type path interface {
	transport() Transport
	// local is the address that clients of this path reached.
	local() netip.AddrPort
	// worker serves the relayed addresses of this path's clients.
	worker() int
	// send carries one message to a client, or loses it: it never waits for a slow
	// client. The payload of p is used up when it returns, p.Addr may have changed.
	send(remote netip.AddrPort, p *packetio.Packet)
	// session returns the session of a client; nil without one.
	session(remote netip.AddrPort) *session
	// attach makes sess the session of its client.
	attach(sess *session)
	// detach forgets sess, if it is still the session of its client.
	detach(sess *session)
}
