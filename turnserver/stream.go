package turnserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"icebox/turnserver/limit"
	"icebox/turnserver/packetio"
	"icebox/turnserver/streamio"
	"icebox/turnserver/wire"
)

// Deadlines of streams.
const (
	handshakeTimeout = 10 * time.Second // TLS and DTLS
	frameTimeout     = 10 * time.Second // from a frame's first byte to its last
	idleTimeout      = 30 * time.Second // without an allocation
)

// strangerQueue is how many bytes of replies may wait for a client without an allocation: about a hundred replies.
const strangerQueue = 8 << 10

// Frames of a stream, in bytes with padding.
const (
	strangerFrame = 2048                    // the longest before there is an allocation
	clientFrame   = wire.HeaderSize + 65536 // the longest after
)

// AddListener serves TURN over TCP, or over TLS, on the connections of l and owns l
// from then on, errors included.
func (s *Server) AddListener(l net.Listener, t Transport) error {
	if t != TCP && (t != TLS || s.opts.GetCertificate == nil) {
		_ = l.Close() // it was never used
		return fmt.Errorf("listener %v: can't serve %v", l.Addr(), t)
	}
	return s.own(l, func() {
		streamio.Accept(s.ctx, l, s.log, func(c net.Conn) { s.serveAccepted(c, t) })
	})
}

// serveAccepted serves a connection that a listener has accepted, in a goroutine of its own.
func (s *Server) serveAccepted(c net.Conn, t Transport) {
	remote, ok := addrPort(c.RemoteAddr())
	if !ok {
		_ = c.Close() // not a TCP connection
		return
	}
	s.readers.Go(func() { s.ServeConn(c, remote, t) })
}

func addrPort(a net.Addr) (netip.AddrPort, bool) {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	return plain(t.AddrPort()), true
}

// plain is a without a zone, and in IPv4 if it is mapped into IPv6: as limits count it and answers show it.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// handshaken is a TLS connection that has been through its handshake: a *tls.Conn, or what is
// wrapped around one.
type handshaken interface {
	ConnectionState() tls.ConnectionState
}

// beneath is the connection that others, such as a *tls.Conn, are wrapped around.
func beneath(c net.Conn) net.Conn {
	for {
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = outer.NetConn()
	}
}

// ServeConn serves one stream client, whose true address is remote, and returns when
// c is done and closed. t is TCP; or TLS, and then the handshake is still to come unless c
// has a ConnectionState, as a *tls.Conn has.
func (s *Server) ServeConn(c net.Conn, remote netip.AddrPort, t Transport) {
	remote = plain(remote)
	local, ok := addrPort(c.LocalAddr())
	if !ok {
		local = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	raw := beneath(c)
	place := s.admitConnection(remote.Addr(), func() { _ = raw.Close() }) // the reader notices
	if place == nil {
		_ = c.Close() // it was never used
		return
	}
	defer place.Remove()
	streamio.LimitUnsent(raw)
	out := streamio.NewConn(c)
	stream := net.Conn(out)
	if _, done := c.(handshaken); t == TLS && !done {
		stream = tls.Server(out, s.tls)
	}
	p := &streamPath{server: s, kind: t, localAddr: local, remote: remote, place: place, stream: stream, loop: s.nextLoop()}
	p.out = streamio.NewWriter(stream, out, &s.readers)
	if !s.hold(p) {
		return
	}
	defer s.readers.Done()
	defer s.disown(p)
	if h, ok := stream.(*tls.Conn); ok {
		ctx, cancel := context.WithTimeout(s.ctx, handshakeTimeout)
		err := h.HandshakeContext(ctx)
		cancel()
		if err != nil {
			s.drop(DropHandshake)
			return
		}
	}
	out.SetNonblocking()
	p.read(stream)
	if sess := p.sess.Load(); sess != nil {
		s.end(sess, EndClosed)
	}
	p.out.WaitFlushed()
}

// hold makes p one of the things that Close closes, and its reader, who calls, one
// that Close waits for until readers.Done; it is false after Close.
func (s *Server) hold(p *streamPath) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keep(p) != nil {
		return false
	}
	s.readers.Add(1)
	return true
}

// admitConnection counts a connection of client. It returns nil if there is no room. closeNow closes the connection at
// once; it is called if a later connection takes its place.
func (s *Server) admitConnection(client netip.Addr, closeNow func()) *limit.Connection {
	l := s.limits.Load()
	added, evicted := s.connections.Add(client, l.StreamsPerAddr, l.StreamsTotal, closeNow)
	if evicted != nil {
		evicted.Evict()
	}
	if evicted != nil || added == nil {
		s.drop(DropConnections)
	}
	return added
}

// newTLSConfig is for TURN over TLS (RFC 8656 section 3.1; ALPN of RFC 7443 where the
// client has any). One for all connections, so that a ticket of one resumes another.
func newTLSConfig(o *Options) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"stun.turn", "stun.nat-discovery"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return o.GetCertificate() },
	}
}

// streamPath serves the one client of a TCP or TLS connection.
type streamPath struct {
	server    *Server
	kind      Transport
	localAddr netip.AddrPort
	remote    netip.AddrPort
	place     *limit.Connection
	stream    net.Conn // of out
	out       *streamio.Writer
	loop      int // of packetio
	sess      atomic.Pointer[session]
	known     atomic.Bool // it has had an allocation

	packet packetio.Packet // the reader's
}

func (p *streamPath) transport() Transport  { return p.kind }
func (p *streamPath) worker() int           { return p.loop }
func (p *streamPath) local() netip.AddrPort { return p.localAddr }

func (p *streamPath) send(_ netip.AddrPort, pkt *packetio.Packet) {
	pkt.Pad() // RFC 8656 section 12.5
	most := strangerQueue
	if p.known.Load() {
		most = streamio.QueueSize
	}
	if p.out.Enqueue(pkt, most) {
		return
	}
	p.server.drop(DropSlowClient)
	if most == strangerQueue {
		_ = p.Close() // it has asked for more than it reads
	}
}

func (p *streamPath) session(netip.AddrPort) *session { return p.sess.Load() }

func (p *streamPath) attach(sess *session) {
	p.known.Store(true)
	p.place.SetAllocated(true)
	p.sess.Store(sess)
}

func (p *streamPath) detach(sess *session) {
	if p.sess.CompareAndSwap(sess, nil) {
		p.place.SetAllocated(false)
		// The reader may wait without a deadline. An error means that it does not.
		_ = p.stream.SetReadDeadline(time.Now().Add(idleTimeout))
	}
}

// Close ends the connection and its outbox. That a client did not wait for a goodbye is no error.
func (p *streamPath) Close() error {
	_ = p.out.Close()
	return nil
}

// read cuts the stream into messages until it ends, breaks the framing or is too slow.
func (p *streamPath) read(c net.Conn) {
	in := streamio.NewReader(c)
	inFrame := false // the deadline is that of a frame
	for need := wire.MinFrame; ; {
		if partial := in.Len() > 0; !partial || !inFrame {
			inFrame = partial
			p.setDeadline(c, partial)
		}
		most := streamio.ReadSize
		if p.sess.Load() == nil {
			most = streamio.SmallReadSize
		}
		if in.Fill(need, most) != nil {
			return
		}
		whole, more, err := p.cut(in)
		if err != nil {
			p.server.drop(DropMalformed)
			return
		}
		if need = more; whole {
			inFrame = false
		}
		in.Release()
	}
}

// cut takes the messages that are whole out of in. need is how many bytes the next one
// has, as far as is known.
func (p *streamPath) cut(in *streamio.Reader) (some bool, need int, err error) {
	var batch *packetio.Batch
	defer func() { batch.Return() }()
	for in.Len() >= wire.MinFrame {
		size, padded, err := wire.FrameSize(in.Bytes(), p.limit())
		if err != nil || padded > in.Len() {
			return some, padded, err
		}
		if batch == nil {
			batch = packetio.Borrow()
		}
		buf, start, end := in.Consume(size, padded)
		p.packet.View(batch, buf, start, end)
		p.server.receive(p, p.remote, &p.packet)
		some = true
	}
	return some, wire.MinFrame, nil
}

func (p *streamPath) limit() int {
	if p.sess.Load() == nil {
		return strangerFrame
	}
	return clientFrame
}

// setDeadline says when the reader gives up: soon in the midst of a frame, later
// between frames of a stranger, never between frames of a client with an allocation.
// Its errors come back from the next Read.
func (p *streamPath) setDeadline(c net.Conn, inFrame bool) {
	switch {
	case inFrame:
		_ = c.SetReadDeadline(time.Now().Add(frameTimeout))
	case p.sess.Load() == nil:
		_ = c.SetReadDeadline(time.Now().Add(idleTimeout))
	default:
		_ = c.SetReadDeadline(time.Time{})
		if p.sess.Load() == nil { // it ended in between, and detach came too early
			_ = c.SetReadDeadline(time.Now().Add(idleTimeout))
		}
	}
}
