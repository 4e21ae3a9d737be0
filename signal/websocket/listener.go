package websocket

import (
	"net"
	"time"
)

// Listen returns a listener of TCP connections that the poller can read even when they are wrapped by others, such as
// TLS, that say so with a method NetConn. It belongs at the bottom. Connections of other kinds pass through as they are.
func Listen(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok && err == nil {
		return &Conn{TCPConn: t}, nil
	}
	return c, err
}

// Conn is a TCP connection until it is upgraded, and what the poller reads from then on.
type Conn struct {
	*net.TCPConn
	early []byte // has been read already
	wire  *wire
}

// leave makes it what the poller reads. Nobody else may use it at that time.
func (c *Conn) leave() error {
	w, err := take(c.TCPConn)
	if err == nil {
		c.wire, c.TCPConn = w, nil
	}
	return err
}

// under is whichever it is now.
func (c *Conn) under() net.Conn {
	if c.wire != nil {
		return c.wire
	}
	return c.TCPConn
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.under().Read(p)
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) { return c.under().Write(p) }

// Close implements net.Conn.
func (c *Conn) Close() error { return c.under().Close() }

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.under().LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.under().RemoteAddr() }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.under().SetDeadline(t) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.under().SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.under().SetWriteDeadline(t) }
