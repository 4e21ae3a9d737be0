package turnserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"

	"icebox/turnserver/dtlsgate"
	"icebox/turnserver/engine"
	"icebox/turnserver/limit"
	"icebox/turnserver/packetio"
)

// Sizes of DTLS connections.
const (
	dtlsRecord = 8192 // the longest record in bytes that is read
	// dtlsHandshake is how many bytes of handshake messages a client may send in all. It bounds the memory that a handshake
	// can take; pion/dtls v3 alone allows 2 MB for each connection.
	dtlsHandshake = 64 << 10
)

// dtlsPath serves one DTLS client. Each record carries one message.
type dtlsPath struct {
	// Static.
	paths   *dtlsPaths
	remote  netip.AddrPort
	conn    *dtlsgate.PacketConn
	random  [32]byte // from its ClientHello
	cookie  []byte   // from its ClientHello
	hello   []byte   // the datagram with its ClientHello
	counted *limit.Connection

	handshake int // bytes of handshake messages received; for the goroutine that reads the socket

	secure atomic.Pointer[dtls.Conn] // once the handshake is done
	sess   atomic.Pointer[session]
}

// newDTLSPath returns the path of a client whose ClientHello h, in the datagram b, has a valid cookie. Pion first gets the ClientHello
// without a cookie, which the client has sent before, because Pion has to see the whole handshake.
func newDTLSPath(d *dtlsPaths, remote netip.AddrPort, h *dtlsgate.Hello, b []byte) *dtlsPath {
	p := &dtlsPath{paths: d, remote: remote, conn: dtlsgate.NewPacketConn(d.conn.LocalAddr(), remote, func(b []byte) { d.write(remote, b) }), random: h.Random()}
	p.cookie, p.hello = bytes.Clone(h.Cookie), bytes.Clone(b)
	p.conn.Deliver(h.First())
	return p
}

// receive queues a datagram from the client. After the handshake it drops unencrypted records, because they may be forged: with
// pion/dtls v3 alone, a third party can end the connection.
func (p *dtlsPath) receive(b []byte) {
	s, size := p.paths.server, len(b)
	if p.secure.Load() != nil {
		if b, size = dtlsgate.Sealed(b); len(b) == 0 {
			s.countDrop(DropMalformed)
			return
		}
	}
	if size > 0 && p.handshake+size > dtlsHandshake {
		s.countDrop(DropHandshake) // the datagram may be forged, so it does not end the connection
		return
	}
	p.handshake += size
	if !p.conn.Deliver(b) {
		s.countDrop(DropSlowClient)
	}
}

// serve runs the handshake, and then handles records until the connection ends.
func (p *dtlsPath) serve() {
	s := p.paths.server
	conn, err := dtls.ServerWithOptions(p.conn, net.UDPAddrFromAddrPort(p.remote),
		dtls.WithGetCertificate(func(*dtls.ClientHelloInfo) (*tls.Certificate, error) { return s.opts.GetCertificate() }),
		dtls.WithLoggerFactory(engine.Silent()))
	if err == nil {
		p.conn.OnChallenge = func() {
			dtlsgate.SetCookie(conn, p.cookie)
			p.conn.Deliver(p.hello)
		}
		ctx, cancel := context.WithTimeout(s.ctx, handshakeTimeout)
		err = conn.HandshakeContext(ctx)
		cancel()
	}
	p.paths.established(p)
	if err != nil {
		s.countDrop(DropHandshake)
		return
	}
	p.secure.Store(conn)
	p.read(conn)
	if sess := p.sess.Load(); sess != nil {
		s.end(sess, EndClosed)
	}
	_ = conn.Close() // sends a close_notify alert if it still can
}

func (p *dtlsPath) read(conn *dtls.Conn) {
	pkt := packetio.NewPacket(dtlsRecord)
	for {
		err := conn.SetReadDeadline(time.Time{})
		if p.sess.Load() == nil { // checked after the deadline was cleared, because the allocation may end in between
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
func (p *dtlsPath) worker() int           { return p.paths.conn.Worker() }
func (p *dtlsPath) local() netip.AddrPort { return p.paths.conn.LocalAddr() }

func (p *dtlsPath) send(_ netip.AddrPort, pkt *packetio.Packet) {
	if conn := p.secure.Load(); conn != nil {
		if _, err := conn.Write(pkt.Payload()); err == nil {
			return
		}
	}
	p.paths.server.countDrop(DropClientWrite)
}

func (p *dtlsPath) session(netip.AddrPort) *session { return p.sess.Load() }

func (p *dtlsPath) attach(sess *session) {
	p.counted.SetAllocated(true)
	p.sess.Store(sess)
}

func (p *dtlsPath) detach(sess *session) {
	if conn := p.secure.Load(); p.sess.CompareAndSwap(sess, nil) && conn != nil {
		p.counted.SetAllocated(false)
		_ = conn.SetReadDeadline(time.Now().Add(idleTimeout)) // an error means that the connection is closed
	}
}
