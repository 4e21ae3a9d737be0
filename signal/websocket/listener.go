package websocket

import (
	"net"
	"time"
)

// Listen wraps l so that the poller can read its TCP connections even inside other connections, such as a *[tls.Conn].
// l has to be the innermost listener, and each connection around another needs a method NetConn() net.Conn that returns it.
// Connections that are not TCP are returned unchanged.
func Listen(l net.Listener) net.Listener { return pollableListener{l} }

type pollableListener struct{ net.Listener }

// Accept implements [net.Listener].
func (l pollableListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok && err == nil {
		return &pollableConn{TCPConn: t}, nil
	}
	return c, err
}

// pollableConn is a TCP connection that can leave Go's netpoller. Until the WebSocket upgrade it uses its TCPConn; after
// detach it uses raw, and TCPConn is nil. Connections around it, such as a *tls.Conn, do not notice.
type pollableConn struct {
	*net.TCPConn
	readAhead []byte // read from TCPConn by the upgrade listener; Read returns these bytes first
	raw       *rawConn
}

// detach replaces the TCP connection by a rawConn, which the poller can read. No other method may run at the same time.
func (c *pollableConn) detach() error {
	raw, err := newRawConn(c.TCPConn)
	if err == nil {
		c.raw, c.TCPConn = raw, nil
	}
	return err
}

// current returns the connection that is in use.
func (c *pollableConn) current() net.Conn {
	if c.raw != nil {
		return c.raw
	}
	return c.TCPConn
}

// Read implements [net.Conn].
func (c *pollableConn) Read(p []byte) (int, error) {
	if len(c.readAhead) > 0 {
		n := copy(p, c.readAhead)
		c.readAhead = c.readAhead[n:]
		return n, nil
	}
	return c.current().Read(p)
}

// Write implements [net.Conn].
func (c *pollableConn) Write(p []byte) (int, error) { return c.current().Write(p) }

// Close implements [net.Conn].
func (c *pollableConn) Close() error { return c.current().Close() }

// LocalAddr implements [net.Conn].
func (c *pollableConn) LocalAddr() net.Addr { return c.current().LocalAddr() }

// RemoteAddr implements [net.Conn].
func (c *pollableConn) RemoteAddr() net.Addr { return c.current().RemoteAddr() }

// SetDeadline implements [net.Conn].
func (c *pollableConn) SetDeadline(t time.Time) error { return c.current().SetDeadline(t) }

// SetReadDeadline implements [net.Conn].
func (c *pollableConn) SetReadDeadline(t time.Time) error { return c.current().SetReadDeadline(t) }

// SetWriteDeadline implements [net.Conn].
func (c *pollableConn) SetWriteDeadline(t time.Time) error { return c.current().SetWriteDeadline(t) }
