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
	clientFrame   = wire.HeaderSize + 65536 // the longest once there is one
)

// AddListener serves TURN over TCP or TLS on the connections of l. It takes ownership of l, also if it returns an error.
func (s *Server) AddListener(l net.Listener, t Transport) error {
	if t != TCP && (t != TLS || s.opts.GetCertificate == nil) {
		_ = l.Close() // it was never used
		return fmt.Errorf("listener %v: can't serve %v", l.Addr(), t)
	}
	return s.runTracked(l, func() {
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
	return canonical(t.AddrPort()), true
}

// canonical returns a without a zone, and as IPv4 if it is mapped into IPv6. Limits count this form and responses contain it.
func canonical(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// handshaken is a TLS connection whose handshake is done: a *tls.Conn, or a connection that wraps one.
type handshaken interface {
	ConnectionState() tls.ConnectionState
}

// beneath returns the innermost connection that c wraps, for example the TCP connection of a *tls.Conn.
func beneath(c net.Conn) net.Conn {
	for {
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = outer.NetConn()
	}
}

// ServeConn serves one client of a stream and returns when c is closed. remote is the client's true address, which differs from
// that of c behind a proxy. t is TCP or TLS. For TLS, ServeConn runs the handshake, unless c has a ConnectionState method as
// a *tls.Conn has.
func (s *Server) ServeConn(c net.Conn, remote netip.AddrPort, t Transport) {
	remote = canonical(remote)
	local, ok := addrPort(c.LocalAddr())
	if !ok {
		local = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	raw := beneath(c)
	counted := s.admitConnection(remote.Addr(), func() { _ = raw.Close() }) // the reading goroutine gets an error
	if counted == nil {
		_ = c.Close() // it was never used
		return
	}
	defer counted.Remove()
	streamio.LimitUnsent(raw)
	out := streamio.NewConn(c)
	stream := net.Conn(out)
	if _, done := c.(handshaken); t == TLS && !done {
		stream = tls.Server(out, s.tls)
	}
	p := &streamPath{server: s, kind: t, localAddr: local, remote: remote, counted: counted, stream: stream, loop: s.nextLoop()}
	p.out = streamio.NewWriter(stream, out, &s.readers)
	if !s.trackReader(p) {
		return
	}
	defer s.readers.Done()
	defer s.untrack(p)
	if h, ok := stream.(*tls.Conn); ok {
		ctx, cancel := context.WithTimeout(s.ctx, handshakeTimeout)
		err := h.HandshakeContext(ctx)
		cancel()
		if err != nil {
			s.countDrop(DropHandshake)
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

// trackReader makes Close close p and wait until the calling goroutine has called readers.Done. It returns false if the
// server is already closed.
func (s *Server) trackReader(p *streamPath) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.track(p) != nil {
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
		s.countDrop(DropConnections)
	}
	return added
}

// newTLSConfig returns the configuration for TURN over TLS (RFC 8656 section 3.1), with the protocols of RFC 7443 for
// clients that use ALPN. All connections share it, so that a client can resume a TLS session on a new connection.
func newTLSConfig(o *Options) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"stun.turn", "stun.nat-discovery"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return o.GetCertificate() },
	}
}

// streamPath serves the one client of a TCP or TLS connection.
type streamPath struct {
	server        *Server
	kind          Transport
	localAddr     netip.AddrPort
	remote        netip.AddrPort
	counted       *limit.Connection
	stream        net.Conn // the connection that out writes to
	out           *streamio.Writer
	loop          int // the packetio worker
	sess          atomic.Pointer[session]
	hadAllocation atomic.Bool // the client has or had an allocation

	packet packetio.Packet // for the reading goroutine
}

func (p *streamPath) transport() Transport  { return p.kind }
func (p *streamPath) worker() int           { return p.loop }
func (p *streamPath) local() netip.AddrPort { return p.localAddr }

func (p *streamPath) send(_ netip.AddrPort, pkt *packetio.Packet) {
	pkt.Pad() // RFC 8656 section 12.5
	most := strangerQueue
	if p.hadAllocation.Load() {
		most = streamio.QueueSize
	}
	if p.out.Enqueue(pkt, most) {
		return
	}
	p.server.countDrop(DropSlowClient)
	if most == strangerQueue {
		_ = p.Close() // the client has sent requests without reading the replies
	}
}

func (p *streamPath) session(netip.AddrPort) *session { return p.sess.Load() }

func (p *streamPath) attach(sess *session) {
	p.hadAllocation.Store(true)
	p.counted.SetAllocated(true)
	p.sess.Store(sess)
}

func (p *streamPath) detach(sess *session) {
	if p.sess.CompareAndSwap(sess, nil) {
		p.counted.SetAllocated(false)
		// The reading goroutine may be blocked without a deadline. An error means that the stream is closed.
		_ = p.stream.SetReadDeadline(time.Now().Add(idleTimeout))
	}
}

// Close closes the stream. It ignores errors, because clients often leave before TLS can send its close_notify alert.
func (p *streamPath) Close() error {
	_ = p.out.Close()
	return nil
}

// read handles the messages of the stream until it ends, its framing is wrong, or the client is too slow.
func (p *streamPath) read(c net.Conn) {
	in := streamio.NewReader(c)
	inFrame := false // the deadline is that of an incomplete frame
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
			p.server.countDrop(DropMalformed)
			return
		}
		if need = more; whole {
			inFrame = false
		}
		in.Release()
	}
}

// cut handles the complete messages in in, and reports whether there were some. need is the length in bytes of the next message,
// as far as it is known.
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

// setDeadline sets the deadline of the next read: 10 s within a frame, 30 s between the frames of a client without an
// allocation, and none between the frames of a client with one. The next read returns its errors.
func (p *streamPath) setDeadline(c net.Conn, inFrame bool) {
	switch {
	case inFrame:
		_ = c.SetReadDeadline(time.Now().Add(frameTimeout))
	case p.sess.Load() == nil:
		_ = c.SetReadDeadline(time.Now().Add(idleTimeout))
	default:
		_ = c.SetReadDeadline(time.Time{})
		if p.sess.Load() == nil { // the allocation ended in between, so detach has set its deadline too early
			_ = c.SetReadDeadline(time.Now().Add(idleTimeout))
		}
	}
}
