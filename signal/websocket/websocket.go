// Package websocket makes clients of WebSockets: it upgrades a request, serves as the hub's [signal.Conn], and
// hands the messages of a connection to a protocol's session. Every protocol that speaks text frames shares it.
//
// # Who reads
//
// On Linux one goroutine reads for all connections, so that an idle one costs neither a stack nor a buffer, and
// what comes in at the same time is dealt with without switching. After the upgrade, a connection is taken out of
// net/http and out of Go's poller for that; one under TLS or another wrapping has to come from a listener
// of [Listen], since its bytes are otherwise out of reach. Whatever may have to wait (a sign-in, a client that sends too fast, a
// large message) goes to a goroutine of its own meanwhile. Other connections, and other systems, have a
// goroutine that reads for each.
//
// The handshake is gorilla/websocket's. The frames are read and written here (RFC 6455 section 5): its reader
// wants to wait for the rest of a frame, and has a buffer for each connection.
//
// Compression is never negotiated: per connection it would cost many times the rest.
//
// # Limits that the protocol doesn't see
//
// A message above the limit is answered with an error and close code 1009; a text frame that isn't UTF-8 with 1007,
// because a browser that got it forwarded would have to fail its own connection; a message must be complete
// 30 s after its first byte; pings and pongs count against the client's rate.
package websocket

import (
	"net"
	"os"
	"sync"
	"time"

	"icebox/signal"
)

const (
	handshakeWait = 5 * time.Second  // to write the response to an upgrade
	messageWait   = 30 * time.Second // from a message's first byte to its last
	closeWait     = time.Second      // to write a close frame, and then for the other side to answer
	prompt        = 64 << 10         // bytes of a message that may be written by who reads for others
)

// conn is a WebSocket as a signal.Prompt.
type conn struct {
	nc   net.Conn
	wire *wire         // below nc, where the poller reads; else nil
	turn chan struct{} // held while writing where there is no wire

	begun *byte // the frame that TryWrite has begun, of who writes

	mu     sync.Mutex
	dead   bool
	closed bool        // a close frame has been sent
	linger *time.Timer // cuts the connection when the other side doesn't answer a close frame
}

// newConn returns a conn of a connection that has been upgraded.
func newConn(nc net.Conn) *conn {
	c := &conn{nc: nc}
	switch bottom := below(nc).(type) {
	case *net.TCPConn:
		if nc != net.Conn(bottom) {
			break // who is above it would go on using it
		}
		if w, err := take(bottom); err == nil {
			c.nc, c.wire = w, w
		}
	case *wire: // which a catcher took over before the request was read
		c.wire = bottom
	case *Conn:
		if bottom.leave() != nil {
			break
		}
		if c.wire = bottom.wire; nc == net.Conn(bottom) {
			c.nc = c.wire
		}
	}
	if c.wire == nil {
		c.turn = make(chan struct{}, 1)
	}
	return c
}

// below is the connection that others, such as a *tls.Conn, are wrapped around.
func below(nc net.Conn) net.Conn {
	for {
		outer, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = outer.NetConn()
	}
}

var frames = sync.Pool{New: func() any { return new([]byte) }}

// put writes a frame. Where there is a wire it doesn't wait.
func (c *conn) put(op byte, payload []byte, deadline time.Time) error {
	p := frames.Get().(*[]byte)
	*p = appendFrame((*p)[:0], op, payload)
	defer func() {
		if cap(*p) <= 2*prompt {
			frames.Put(p)
		}
	}()
	if c.wire != nil {
		_, err := c.nc.Write(*p)
		return err
	}
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	select {
	case c.turn <- struct{}{}:
	case <-t.C:
		return os.ErrDeadlineExceeded
	}
	defer func() { <-c.turn }()
	if err := c.nc.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err := c.nc.Write(*p)
	if err != nil {
		c.Abort() // half a frame may have been written
	}
	return err
}

// write writes a frame and waits until it has gone.
func (c *conn) write(op byte, payload []byte, deadline time.Time) error {
	if err := c.put(op, payload, deadline); err != nil || c.wire == nil {
		return err
	}
	return c.wire.flush(deadline)
}

// Write implements signal.Conn.
func (c *conn) Write(frame []byte, deadline time.Time) error {
	begun := c.begun
	if c.begun = nil; begun != nil && begun == &frame[0] {
		return c.wire.flush(deadline)
	}
	return c.write(opText, frame, deadline)
}

// TryWrite implements signal.Prompt.
func (c *conn) TryWrite(frame []byte) (done bool, err error) {
	if c.wire == nil || len(frame) > prompt || !c.wire.idle() {
		return false, nil
	}
	if err := c.put(opText, frame, time.Time{}); err != nil {
		return false, err
	}
	if c.wire.idle() {
		return true, nil
	}
	c.begun = &frame[0]
	return false, nil
}

// Ping implements signal.Conn.
func (c *conn) Ping(deadline time.Time) error { return c.write(opPing, nil, deadline) }

// TryPing implements signal.Prompt.
func (c *conn) TryPing() (done bool, err error) {
	if c.wire == nil || !c.wire.idle() {
		return false, nil
	}
	err = c.put(opPing, nil, time.Time{})
	return err == nil, err // should it be kept, the next write sends it
}

// pong answers a ping, unless the other side doesn't read: the answer to its next ping will do (RFC 6455
// section 5.5.3).
func (c *conn) pong(body []byte) {
	if c.wire == nil || c.wire.idle() {
		_ = c.put(opPong, body, time.Now().Add(closeWait)) // no reason to stop reading
	}
}

// Close implements signal.Conn.
func (c *conn) Close(why signal.Reason) {
	code, text := closing(why)
	if c.sayClose() && c.write(opClose, closePayload(code, text), time.Now().Add(closeWait)) != nil {
		c.Abort()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead && c.linger == nil {
		c.linger = time.AfterFunc(closeWait, c.Abort)
	}
}

// last writes a close frame after which nothing is read, unless one has been written.
func (c *conn) last(payload []byte) {
	if c.sayClose() {
		_ = c.put(opClose, payload, time.Now().Add(closeWait))
	}
}

// sayClose reports whether the caller should write a close frame: only the first one does.
func (c *conn) sayClose() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.closed
	c.closed = true
	return first
}

// Abort implements signal.Conn. It goes below TLS, whose own Close may wait to write.
func (c *conn) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	if c.linger != nil {
		c.linger.Stop()
	}
	_ = below(c.nc).Close()
}

// free gives up what Abort leaves to who reads.
func (c *conn) free() {
	if c.wire != nil {
		c.wire.free()
	}
}
