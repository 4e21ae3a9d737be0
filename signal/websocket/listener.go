package websocket

import (
	"net"
	"time"
)

// Listen returns a listener of TCP connections that the poller can read even when they are wrapped by others, such as
// TLS, that say so with a method NetConn. It belongs at the bottom. Connections of other kinds pass through as they are.
func Listen(l net.Listener) net.Listener { return pollableListener{l} }

type pollableListener struct{ net.Listener }

// Accept implements net.Listener.
func (l pollableListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok && err == nil {
		return &Conn{TCPConn: t}, nil
	}
	return c, err
}

// Conn is a TCP connection until it is upgraded, and what the poller reads from then on.
type Conn struct {
	*net.TCPConn
	readAhead []byte // has been read already
	raw       *rawConn
}

// detach makes it what the poller reads. Nobody else may use it at that time.
func (c *Conn) detach() error {
	w, err := newRawConn(c.TCPConn)
	if err == nil {
		c.raw, c.TCPConn = w, nil
	}
	return err
}

// current is whichever it is now.
func (c *Conn) current() net.Conn {
	if c.raw != nil {
		return c.raw
	}
	return c.TCPConn
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.readAhead) > 0 {
		n := copy(p, c.readAhead)
		c.readAhead = c.readAhead[n:]
		return n, nil
	}
	return c.current().Read(p)
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) { return c.current().Write(p) }

// Close implements net.Conn.
func (c *Conn) Close() error { return c.current().Close() }

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.current().LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.current().RemoteAddr() }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.current().SetDeadline(t) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.current().SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.current().SetWriteDeadline(t) }
