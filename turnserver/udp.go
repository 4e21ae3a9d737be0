package turnserver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"icebox/turnserver/packetio"
)

// datagramSize is the longest UDP payload in bytes.
const datagramSize = packetio.MaxDatagram

// udpPath serves the clients of one UDP socket.
type udpPath struct {
	server *Server
	conn   packetio.Socket
	dtls   *dtlsPaths // nil if DTLS is not served
	// siblings are all paths on the same address, including this one. The kernel chooses the socket of a client. Its
	// choice may change while sockets are being added.
	siblings []*udpPath

	mu       sync.RWMutex
	sessions map[netip.AddrPort]*session
}

// UDPOptions are options of AddUDP.
type UDPOptions struct {
	// DTLS serves TURN over DTLS on the same port in addition, if Options.GetCertificate is set.
	DTLS bool
}

// AddUDP serves STUN and TURN on c. It takes ownership of c, also if it returns an error. c must be bound to one address of
// the host, so that replies are sent from the address that the request was sent to.
func (s *Server) AddUDP(c *net.UDPConn, o UDPOptions) error {
	if local := c.LocalAddr().(*net.UDPAddr); local.IP.IsUnspecified() {
		_ = c.Close() // it was never used
		return fmt.Errorf("udp socket %v is not bound to a single address", local)
	}
	conns := packetio.Share(c, s.io.Workers())
	paths := make([]*udpPath, len(conns))
	var errs []error
	for i, c := range conns {
		u := &udpPath{server: s, siblings: paths, sessions: make(map[netip.AddrPort]*session)}
		var err error
		if u.conn, err = s.io.Serve(c, i, datagramSize, u); err != nil {
			if errors.Is(err, net.ErrClosed) { // the loops are closed
				err = ErrClosed
			}
			errs = append(errs, fmt.Errorf("serve udp socket: %w", err))
			continue
		}
		if o.DTLS && s.opts.GetCertificate != nil {
			u.dtls = newDTLSPaths(s, u.conn)
		}
		paths[i] = u
		s.mu.Lock()
		errs = append(errs, s.track(u.conn))
		s.mu.Unlock()
	}
	if err := errors.Join(errs...); err != nil {
		for _, u := range paths {
			if u != nil {
				s.untrack(u.conn)
			}
		}
		return err
	}
	for _, u := range paths {
		errs = append(errs, u.conn.Start())
	}
	return errors.Join(errs...)
}

// Receive implements packetio.Receiver.
func (u *udpPath) Receive(p *packetio.Packet) {
	switch b := p.Payload(); {
	case len(b) == 0 || !isDTLS(b[0]):
		u.server.receive(u, p.Addr, p)
	case u.dtls != nil:
		u.dtls.receive(p)
	default:
		u.server.countDrop(DropMalformed)
	}
}

// Oversized implements packetio.Receiver.
func (u *udpPath) Oversized() { u.server.countDrop(DropOversized) }

// Lost implements packetio.Receiver.
func (u *udpPath) Lost(n int) { u.server.countDrops(DropClientWrite, n) }

// Closed implements packetio.Receiver.
func (u *udpPath) Closed() {}

func (u *udpPath) transport() Transport  { return UDP }
func (u *udpPath) worker() int           { return u.conn.Worker() }
func (u *udpPath) local() netip.AddrPort { return u.conn.LocalAddr() }

func (u *udpPath) send(remote netip.AddrPort, p *packetio.Packet) {
	p.Addr = remote
	u.conn.Send(p)
}

func (u *udpPath) session(remote netip.AddrPort) *session {
	if sess := u.lookup(remote); sess != nil {
		return sess
	}
	for _, sibling := range u.siblings {
		if sess := sibling.lookup(remote); sess != nil {
			return sess
		}
	}
	return nil
}

func (u *udpPath) lookup(remote netip.AddrPort) *session {
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
