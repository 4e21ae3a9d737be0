package turnserver

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"

	"icebox/turnserver/engine"
	"icebox/turnserver/packetio"
)

// isDTLS tells a DTLS record by its first byte (RFC 7983 section 7).
func isDTLS(first byte) bool { return first >= 20 && first <= 63 }

// Sizes of DTLS connections.
const (
	dtlsQueue   = 64   // datagrams that wait for a connection's reader
	dtlsRecord  = 8192 // the longest record that is read
	dtlsHalf    = 512  // handshakes under way on one socket; one more ends another, picked at random
	recordType  = 22   // handshake
	helloOffset = 13   // the handshake type in a record
	clientHello = 1
)

// dtlsPaths are the DTLS clients of one UDP socket. A datagram belongs to the client
// of its source address; only a ClientHello makes a new one.
type dtlsPaths struct {
	server *Server
	conn   packetio.Conn

	mu    sync.RWMutex
	paths map[netip.AddrPort]*dtlsPath
	half  map[*dtlsPath]struct{} // those whose handshake is under way
}

func newDTLSPaths(s *Server, conn packetio.Conn) *dtlsPaths {
	return &dtlsPaths{
		server: s,
		conn:   conn,
		paths:  make(map[netip.AddrPort]*dtlsPath),
		half:   make(map[*dtlsPath]struct{}),
	}
}

// receive hands a datagram to its connection.
func (d *dtlsPaths) receive(p *packetio.Packet) {
	b := p.Payload()
	d.mu.RLock()
	path := d.paths[p.Addr]
	d.mu.RUnlock()
	if path == nil {
		if len(b) <= helloOffset || b[0] != recordType || b[helloOffset] != clientHello {
			d.server.drop(DropMalformed)
			return
		}
		if path = d.open(p.Addr); path == nil {
			d.server.drop(DropConnections)
			return
		}
	}
	if !path.wire.put(b) {
		d.server.drop(DropSlowClient)
	}
}

// open starts a connection for a new client; nil if there are too many. A ClientHello
// may come from a forged address, so handshakes under way are few: a flood of them
// pushes out its own, and rarely an honest one, which takes a few round trips only.
func (d *dtlsPaths) open(remote netip.AddrPort) *dtlsPath {
	s := d.server
	release, ok := s.streams.take(remote.Addr(), s.limits.Load())
	if !ok {
		return nil
	}
	p := &dtlsPath{paths: d, remote: remote, wire: newDTLSWire(d.conn, remote)}
	d.mu.Lock()
	if len(d.half) >= dtlsHalf {
		for victim := range d.half { // in random order
			_ = victim.wire.Close() // its handshake ends with an error
			delete(d.half, victim)
			break
		}
	}
	d.half[p], d.paths[remote] = struct{}{}, p // before it can end and be forgotten
	d.mu.Unlock()
	err := s.own(p.wire, func() {
		defer release()
		defer d.forget(p)
		p.serve()
	})
	if err != nil {
		d.forget(p)
		release()
		return nil
	}
	return p
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

// dtlsPath serves one DTLS client. Each record carries one message.
type dtlsPath struct {
	paths  *dtlsPaths
	remote netip.AddrPort
	wire   *dtlsWire
	conn   atomic.Pointer[dtls.Conn] // once the handshake is done
	sess   atomic.Pointer[session]
}

// serve runs the handshake and then reads records until the connection ends.
func (p *dtlsPath) serve() {
	s := p.paths.server
	conn, err := dtls.ServerWithOptions(p.wire, net.UDPAddrFromAddrPort(p.remote),
		dtls.WithGetCertificate(func(*dtls.ClientHelloInfo) (*tls.Certificate, error) { return s.opts.GetCertificate() }),
		dtls.WithLoggerFactory(engine.Silent()))
	if err == nil {
		ctx, cancel := context.WithTimeout(s.ctx, handshakeTimeout)
		err = conn.HandshakeContext(ctx)
		cancel()
	}
	p.paths.established(p)
	if err != nil {
		s.drop(DropHandshake)
		return
	}
	p.conn.Store(conn)
	p.read(conn)
	if sess := p.sess.Load(); sess != nil {
		s.end(sess, EndClosed)
	}
	_ = conn.Close() // says goodbye if it still can
}

func (p *dtlsPath) read(conn *dtls.Conn) {
	pkt := packetio.NewPacket(dtlsRecord)
	for {
		deadline := time.Time{}
		if p.sess.Load() == nil {
			deadline = time.Now().Add(idleTimeout)
		}
		if err := conn.SetReadDeadline(deadline); err != nil {
			return
		}
		n, err := conn.Read(pkt.Buf[packetio.Headroom : packetio.Headroom+dtlsRecord])
		if err != nil {
			return
		}
		pkt.Off, pkt.End = packetio.Headroom, packetio.Headroom+n
		p.paths.server.receive(p, p.remote, pkt)
	}
}

func (p *dtlsPath) transport() Transport  { return DTLS }
func (p *dtlsPath) local() netip.AddrPort { return p.paths.conn.LocalAddr() }

func (p *dtlsPath) send(_ netip.AddrPort, pkt *packetio.Packet) {
	if conn := p.conn.Load(); conn != nil {
		if _, err := conn.Write(pkt.Payload()); err == nil {
			return
		}
	}
	p.paths.server.drop(DropClientWrite)
}

func (p *dtlsPath) session(netip.AddrPort) *session { return p.sess.Load() }
func (p *dtlsPath) attach(sess *session)            { p.sess.Store(sess) }

func (p *dtlsPath) detach(sess *session) {
	if conn := p.conn.Load(); p.sess.CompareAndSwap(sess, nil) && conn != nil {
		_ = conn.SetReadDeadline(time.Now().Add(idleTimeout)) // an error means that nobody reads
	}
}
