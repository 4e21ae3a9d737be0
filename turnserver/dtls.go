package turnserver

import (
	"net/netip"
	"sync"

	"icebox/turnserver/dtlsgate"
	"icebox/turnserver/packetio"
)

// isDTLS reports whether a datagram with this first byte is DTLS (RFC 7983 section 7).
func isDTLS(first byte) bool { return first >= 20 && first <= 63 }

// dtlsHalf is the greatest number of handshakes that run on one socket at the same time. When another one starts, the
// server ends a random one of those.
const dtlsHalf = 512

// dtlsPaths holds the DTLS clients of one UDP socket. A datagram belongs to the client with its source address. Only a ClientHello
// with a valid cookie creates a new client.
type dtlsPaths struct {
	server *Server
	conn   packetio.Socket

	mu    sync.RWMutex
	paths map[netip.AddrPort]*dtlsPath
	half  map[*dtlsPath]struct{} // the clients whose handshake is running
}

func newDTLSPaths(s *Server, conn packetio.Socket) *dtlsPaths {
	return &dtlsPaths{
		server: s,
		conn:   conn,
		paths:  make(map[netip.AddrPort]*dtlsPath),
		half:   make(map[*dtlsPath]struct{}),
	}
}

// receive hands a datagram to its connection, or to the gate. Only the goroutine that reads the socket calls it.
func (d *dtlsPaths) receive(p *packetio.Packet) {
	b := p.Payload()
	if len(b) > dtlsRecord {
		d.server.countDrop(DropOversized)
		return
	}
	if hello, ok := dtlsgate.Parse(b); ok {
		d.hello(p.Addr, hello, b)
		return
	}
	path := d.path(p.Addr)
	if path == nil {
		d.server.countDrop(DropMalformed)
		return
	}
	path.receive(b)
}

func (d *dtlsPaths) path(remote netip.AddrPort) *dtlsPath {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.paths[remote]
}

// hello handles a ClientHello. Without a valid cookie it replies with a challenge, within the limits for addresses that may be
// forged. With one it opens a connection. If there is already a connection from the same address, the ClientHello is either a
// retransmission, which the connection gets, or it replaces a connection that the client has lost (RFC 6347 section 4.2.8).
func (d *dtlsPaths) hello(remote netip.AddrPort, h *dtlsgate.Hello, b []byte) {
	s := d.server
	if now := s.clock(); h.Outdated() || !s.gate.Valid(h, remote, now) {
		if !s.allowReply(remote.Addr()) {
			s.countDrop(DropReplyRate)
			return
		}
		if h.Outdated() {
			s.countDrop(DropHandshake)
			d.write(remote, h.Refusal())
			return
		}
		d.write(remote, s.gate.Challenge(h, remote, now))
		return
	}
	if path := d.path(remote); path != nil {
		if path.random == h.Random() {
			path.receive(b)
			return
		}
		_ = path.conn.Close() // the connection and its session end
	}
	d.open(remote, h, b)
}

// open starts a connection for a client with a valid cookie, unless the connection limits are reached. Handshakes cost
// CPU time and memory, so their number is limited. In a flood, the handshake that is ended nearly always belongs to the
// flood, because an honest handshake takes only a few round trips.
func (d *dtlsPaths) open(remote netip.AddrPort, h *dtlsgate.Hello, b []byte) {
	p := newDTLSPath(d, remote, h, b)
	p.counted = d.server.admitConnection(remote.Addr(), func() { _ = p.conn.Close() }) // the reading goroutine gets an error
	if p.counted == nil {
		return
	}
	d.mu.Lock()
	if len(d.half) >= dtlsHalf {
		for victim := range d.half { // in random order
			_ = victim.conn.Close() // its handshake ends with an error
			delete(d.half, victim)
			break
		}
	}
	d.half[p], d.paths[remote] = struct{}{}, p // before the connection can end and call forget
	d.mu.Unlock()
	err := d.server.runTracked(p.conn, func() {
		defer p.counted.Remove()
		defer d.forget(p)
		p.serve()
	})
	if err != nil {
		d.forget(p)
		p.counted.Remove()
	}
}

func (d *dtlsPaths) forget(p *dtlsPath) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.half, p)
	if d.paths[p.remote] == p {
		delete(d.paths, p.remote)
	}
}

// established removes p from the running handshakes.
func (d *dtlsPaths) established(p *dtlsPath) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.half, p)
}

// write sends one datagram. If the kernel refuses it, it is lost like any datagram.
func (d *dtlsPaths) write(remote netip.AddrPort, b []byte) {
	d.conn.Send(&packetio.Packet{Addr: remote, Buf: b, End: len(b)})
}
