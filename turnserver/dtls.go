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
	dtlsHalf    = 512  // handshakes under way on one socket
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
	half  atomic.Int32
}

func newDTLSPaths(s *Server, conn packetio.Conn) *dtlsPaths {
	return &dtlsPaths{server: s, conn: conn, paths: make(map[netip.AddrPort]*dtlsPath)}
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

// open starts a connection for a new client; nil if there are too many.
func (d *dtlsPaths) open(remote netip.AddrPort) *dtlsPath {
	s := d.server
	release, ok := s.streams.take(remote.Addr(), s.limits.Load())
	if !ok {
		return nil
	}
	if d.half.Add(1) > dtlsHalf {
		d.half.Add(-1)
		release()
		return nil
	}
	p := &dtlsPath{paths: d, remote: remote, wire: newDTLSWire(d.conn, remote)}
	d.mu.Lock()
	d.paths[remote] = p // before it can end and be forgotten
	d.mu.Unlock()
	err := s.own(p.wire, func() {
		defer release()
		defer d.forget(p)
		p.serve()
	})
	if err != nil {
		d.forget(p)
		d.half.Add(-1)
		release()
		return nil
	}
	return p
}

func (d *dtlsPaths) forget(p *dtlsPath) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.paths[p.remote] == p {
		delete(d.paths, p.remote)
	}
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
		dtls.WithLoggerFactory(engine.Silence{}))
	if err == nil {
		ctx, cancel := context.WithTimeout(s.ctx, handshakeTimeout)
		err = conn.HandshakeContext(ctx)
		cancel()
	}
	p.paths.half.Add(-1)
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
		err := conn.SetReadDeadline(time.Time{})
		if p.sess.Load() == nil { // asked now, lest it ends in between and detach comes too early
			err = conn.SetReadDeadline(time.Now().Add(idleTimeout))
		}
		if err != nil {
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
