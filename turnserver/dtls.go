package turnserver

import (
	"net/netip"
	"sync"

	"icebox/turnserver/dtlsgate"
	"icebox/turnserver/packetio"
)

// isDTLS tells a DTLS record by its first byte (RFC 7983 section 7).
func isDTLS(first byte) bool { return first >= 20 && first <= 63 }

// dtlsHalf is how many handshakes may be under way on one socket; one more ends another, picked at random.
const dtlsHalf = 512

// dtlsPaths are the DTLS clients of one UDP socket. A datagram belongs to the client
// of its source address; only a ClientHello that has shown its address makes a new one.
type dtlsPaths struct {
	server *Server
	conn   packetio.Socket

	mu    sync.RWMutex
	paths map[netip.AddrPort]*dtlsPath
	half  map[*dtlsPath]struct{} // those whose handshake is under way
}

func newDTLSPaths(s *Server, conn packetio.Socket) *dtlsPaths {
	return &dtlsPaths{
		server: s,
		conn:   conn,
		paths:  make(map[netip.AddrPort]*dtlsPath),
		half:   make(map[*dtlsPath]struct{}),
	}
}

// receive hands a datagram to its connection, or to the gate. It is for the socket's reader alone.
func (d *dtlsPaths) receive(p *packetio.Packet) {
	b := p.Payload()
	if len(b) > dtlsRecord {
		d.server.drop(DropOversized)
		return
	}
	if hello, ok := dtlsgate.Parse(b); ok {
		d.hello(p.Addr, hello, b)
		return
	}
	path := d.path(p.Addr)
	if path == nil {
		d.server.drop(DropMalformed)
		return
	}
	path.receive(b)
}

func (d *dtlsPaths) path(remote netip.AddrPort) *dtlsPath {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.paths[remote]
}

// hello answers a ClientHello from an address that may be forged, within the limits for
// such answers, or lets the client in: for the first time, again because the datagram was repeated,
// or anew in place of a connection that the client has lost (RFC 6347 section 4.2.8).
func (d *dtlsPaths) hello(remote netip.AddrPort, h *dtlsgate.Hello, b []byte) {
	s := d.server
	if now := s.clock(); h.Outdated() || !s.gate.Valid(h, remote, now) {
		if !s.allowReply(remote.Addr()) {
			s.drop(DropReplyRate)
			return
		}
		if h.Outdated() {
			s.drop(DropHandshake)
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
		_ = path.conn.Close() // it ends, and its session with it
	}
	d.open(remote, h, b)
}

// open starts a connection for a client that has shown its address, unless there are
// too many. Handshakes cost processor time and memory, so those under way are few: a flood of
// them pushes out its own, and rarely an honest one, which takes a few round trips only.
func (d *dtlsPaths) open(remote netip.AddrPort, h *dtlsgate.Hello, b []byte) {
	p := newDTLSPath(d, remote, h, b)
	p.place = d.server.admitConnection(remote.Addr(), func() { _ = p.conn.Close() }) // the reader notices
	if p.place == nil {
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
	d.half[p], d.paths[remote] = struct{}{}, p // before it can end and be forgotten
	d.mu.Unlock()
	err := d.server.own(p.conn, func() {
		defer p.place.Remove()
		defer d.forget(p)
		p.serve()
	})
	if err != nil {
		d.forget(p)
		p.place.Remove()
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

// established takes p out of the handshakes under way.
func (d *dtlsPaths) established(p *dtlsPath) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.half, p)
}

// write sends one datagram. Like any, what the kernel refuses is lost.
func (d *dtlsPaths) write(remote netip.AddrPort, b []byte) {
	d.conn.Send(&packetio.Packet{Addr: remote, Buf: b, End: len(b)})
}
