package turnserver

import (
	"fmt"
	"net"
	"net/netip"
	"sync"

	"icebox/turnserver/packetio"
)

const (
	// datagramSize is the longest UDP payload.
	datagramSize = 65535
	// receiveBuffer is what the kernel is asked to keep while a client socket's reader is busy:
	// 5,000 short datagrams, a tenth of a second of a heavy flood. net.core.rmem_max may make it less.
	receiveBuffer = 4 << 20
)

// udpPath serves the clients of one UDP socket.
type udpPath struct {
	server *Server
	conn   packetio.Conn
	dtls   *dtlsPaths // nil where DTLS is not served

	mu       sync.RWMutex
	sessions map[netip.AddrPort]*session
}

// UDPOptions say what a UDP socket serves beside STUN and TURN.
type UDPOptions struct {
	// DTLS serves TURN over DTLS on the same port too, where Options.GetCertificate is set.
	DTLS bool
}

// AddUDP serves STUN and TURN on c and owns c from then on, errors included. c is
// bound to one address of the host, so that answers leave from where the request went.
func (s *Server) AddUDP(c *net.UDPConn, o UDPOptions) error {
	conn := packetio.NewUDP(c, func() { s.drop(DropOversized) })
	if conn.LocalAddr().Addr().IsUnspecified() {
		_ = conn.Close() // it was never used
		return fmt.Errorf("udp socket %v is bound to no single address", conn.LocalAddr())
	}
	if err := c.SetReadBuffer(receiveBuffer); err != nil {
		s.log.Warn("receive buffer stays short", "listener", conn.LocalAddr(), "err", err)
	}
	u := &udpPath{server: s, conn: conn, sessions: make(map[netip.AddrPort]*session)}
	if o.DTLS && s.opts.GetCertificate != nil {
		u.dtls = newDTLSPaths(s, conn)
	}
	return s.own(conn, u.read)
}

func (u *udpPath) read() {
	p := packetio.NewPacket(datagramSize)
	batch := p.Alone()
	for {
		n, err := u.conn.ReadBatch(batch)
		if err != nil {
			return
		}
		for _, p := range batch[:n] {
			switch b := p.Payload(); {
			case len(b) == 0 || !isDTLS(b[0]):
				u.server.receive(u, p.Addr, p)
			case u.dtls != nil:
				u.dtls.receive(p)
			default:
				u.server.drop(DropMalformed)
			}
		}
	}
}

func (u *udpPath) transport() Transport  { return UDP }
func (u *udpPath) local() netip.AddrPort { return u.conn.LocalAddr() }

func (u *udpPath) send(remote netip.AddrPort, p *packetio.Packet) {
	p.Addr = remote
	if u.conn.WriteBatch(p.Alone()) == 0 {
		u.server.drop(DropClientWrite)
	}
}

func (u *udpPath) session(remote netip.AddrPort) *session {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.sessions[remote]
}

func (u *udpPath) attach(sess *session) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sessions[sess.remote] = sess
}

func (u *udpPath) detach(sess *session) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.sessions[sess.remote] == sess {
		delete(u.sessions, sess.remote)
	}
}
