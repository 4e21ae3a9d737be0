package turnserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"icebox/turnserver/packetio"
	"icebox/turnserver/wire"
)

// Deadlines of streams.
const (
	handshakeTimeout = 10 * time.Second // TLS and DTLS
	frameTimeout     = 10 * time.Second // from a frame's first byte to its last
	idleTimeout      = 30 * time.Second // without an allocation
)

// Frames of a stream, in bytes with padding.
const (
	strangerFrame = 2048                    // the longest before there is an allocation
	clientFrame   = wire.HeaderSize + 65536 // the longest after
	streamBuffer  = 4096                    // what a connection starts with
)

// AddListener serves TURN over TCP, or over TLS, on the connections of l and owns l
// from then on, errors included.
func (s *Server) AddListener(l net.Listener, t Transport) error {
	if t != TCP && (t != TLS || s.opts.GetCertificate == nil) {
		_ = l.Close() // it was never used
		return fmt.Errorf("listener %v: can't serve %v", l.Addr(), t)
	}
	return s.own(l, func() { s.accept(l, t) })
}

// accept takes connections until l is closed. An error such as EMFILE passes, so it is waited out.
func (s *Server) accept(l net.Listener, t Transport) {
	const least, most = 5 * time.Millisecond, time.Second
	rest := least
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			rest = least
			remote, ok := addrPort(c.RemoteAddr())
			if !ok {
				_ = c.Close() // not a TCP connection
				continue
			}
			s.readers.Go(func() { s.ServeConn(c, remote, t) })
		case errors.Is(err, net.ErrClosed):
			return
		default:
			s.log.Warn("accept failed", "listener", l.Addr(), "err", err)
			select {
			case <-time.After(rest):
			case <-s.ctx.Done():
				return
			}
			rest = min(2*rest, most)
		}
	}
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

// ServeConn serves one stream client, whose true address is remote, and returns when
// c is done and closed. t is TCP, or TLS if the handshake is still to come.
func (s *Server) ServeConn(c net.Conn, remote netip.AddrPort, t Transport) {
	remote = plain(remote)
	local, ok := addrPort(c.LocalAddr())
	if !ok {
		local = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	raw := c
	place := s.place(remote.Addr(), func() { _ = raw.Close() }) // the reader notices
	if place == nil {
		_ = c.Close() // it was never used
		return
	}
	defer place.release()
	limitUnsent(c)
	if t == TLS {
		c = tls.Server(c, s.tls)
	}
	p := &streamPath{server: s, kind: t, localAddr: local, remote: remote, place: place, out: outbox{server: s, conn: c}}
	if !s.hold(p) {
		return
	}
	defer s.readers.Done()
	defer s.disown(p)
	if h, ok := c.(*tls.Conn); ok {
		ctx, cancel := context.WithTimeout(s.ctx, handshakeTimeout)
		err := h.HandshakeContext(ctx)
		cancel()
		if err != nil {
			s.drop(DropHandshake)
			return
		}
	}
	p.read(c)
	if sess := p.sess.Load(); sess != nil {
		s.end(sess, EndClosed)
	}
	p.out.flush()
}

// hold makes p one of the things that Close closes, and its reader, who calls, one
// that Close waits for until readers.Done; it is false after Close.
func (s *Server) hold(p *streamPath) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = p.Close() // it was never used
		return false
	}
	s.closers[p] = struct{}{}
	s.readers.Add(1)
	return true
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
	place     *place
	out       outbox
	sess      atomic.Pointer[session]
	known     atomic.Bool // it has had an allocation
}

func (p *streamPath) transport() Transport  { return p.kind }
func (p *streamPath) local() netip.AddrPort { return p.localAddr }

func (p *streamPath) send(_ netip.AddrPort, pkt *packetio.Packet) {
	pkt.Pad() // RFC 8656 section 12.5
	limit := strangersOutbox
	if p.known.Load() {
		limit = outboxSize
	}
	if p.out.put(pkt.Payload(), limit) {
		return
	}
	p.server.drop(DropSlowClient)
	if limit == strangersOutbox {
		_ = p.Close() // it has asked for more than it reads
	}
}

func (p *streamPath) session(netip.AddrPort) *session { return p.sess.Load() }

func (p *streamPath) attach(sess *session) {
	p.known.Store(true)
	p.place.keep(true)
	p.sess.Store(sess)
}

func (p *streamPath) detach(sess *session) {
	if p.sess.CompareAndSwap(sess, nil) {
		p.place.keep(false)
		// The reader may wait without a deadline. An error means that it does not.
		_ = p.out.conn.SetReadDeadline(time.Now().Add(idleTimeout))
	}
}

// Close ends the connection and its outbox. That a client did not wait for a goodbye is no error.
func (p *streamPath) Close() error {
	_ = p.out.close()
	return nil
}

// read cuts the stream into messages until it ends, breaks the framing or is too slow.
func (p *streamPath) read(c net.Conn) {
	pkt := &packetio.Packet{}
	buf := make([]byte, packetio.Headroom+streamBuffer)
	start, end := packetio.Headroom, packetio.Headroom // buf[start:end] is not yet cut
	inFrame := false                                   // the deadline is that of a frame
	for {
		need, ok := p.awaited(buf[start:end])
		if !ok {
			p.server.drop(DropMalformed)
			return
		}
		if end-start < need {
			if partial := end > start; !partial || !inFrame {
				inFrame = partial
				p.setDeadline(c, partial)
			}
			buf, start, end = room(buf, start, end, need)
			n, err := c.Read(buf[end:])
			if err != nil {
				return
			}
			end += n
			continue
		}
		inFrame = false
		size, padded, err := wire.FrameSize(buf[start:end], p.limit())
		if err != nil {
			p.server.drop(DropMalformed)
			return
		}
		pkt.Set(buf, start, start+size)
		start += padded
		p.server.receive(p, p.remote, pkt)
	}
}

// awaited returns how many bytes the message at the start of b has, padding
// included, as far as b tells; ok is false if it can't become one.
func (p *streamPath) awaited(b []byte) (need int, ok bool) {
	if len(b) < wire.MinFrame {
		return wire.MinFrame, true
	}
	_, padded, err := wire.FrameSize(b, p.limit())
	return padded, err == nil
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

// room moves the uncut bytes to the front of buf, or to a longer one, so that need
// bytes find room behind start, with headroom before and tailroom after them.
func room(buf []byte, start, end, need int) ([]byte, int, int) {
	const front = packetio.Headroom
	if start+need+packetio.Tailroom <= len(buf) && end < len(buf)-packetio.Tailroom {
		return buf, start, end
	}
	to := buf
	if front+need+packetio.Tailroom > len(buf) {
		to = make([]byte, front+need+packetio.Tailroom)
	}
	n := copy(to[front:], buf[start:end])
	return to, front, front + n
}
