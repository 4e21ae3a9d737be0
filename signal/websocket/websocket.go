// Package websocket makes clients of WebSockets: it upgrades a request, serves as the hub's [signal.Conn], and
// hands the messages of a connection to a protocol's handler. Every protocol that speaks text frames shares it.
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
	handshakeWait  = 5 * time.Second  // to write the response to an upgrade
	messageWait    = 30 * time.Second // from a message's first byte to its last
	closeWait      = time.Second      // to write a close frame, and then for the other side to answer
	inlineWriteMax = 64 << 10         // bytes of a message that may be written by who reads for others
)

// conn is a WebSocket as a signal.NonblockingConn.
type conn struct {
	nc         net.Conn
	raw        *rawConn      // below nc, where the poller reads; else nil
	writeToken chan struct{} // held while writing where there is no raw connection

	partialWrite *byte // the frame that TryWrite has begun, of who writes

	mu        sync.Mutex
	aborted   bool
	closeSent bool        // a close frame has been sent
	linger    *time.Timer // cuts the connection when the other side doesn't answer a close frame
}

// newConn returns a conn of a connection that has been upgraded.
func newConn(nc net.Conn) *conn {
	c := &conn{nc: nc}
	switch bottom := innermost(nc).(type) {
	case *net.TCPConn:
		if nc != net.Conn(bottom) {
			break // who is above it would go on using it
		}
		if w, err := newRawConn(bottom); err == nil {
			c.nc, c.raw = w, w
		}
	case *rawConn: // which a upgrade listener took over before the request was read
		c.raw = bottom
	case *Conn:
		if bottom.detach() != nil {
			break
		}
		if c.raw = bottom.raw; nc == net.Conn(bottom) {
			c.nc = c.raw
		}
	}
	if c.raw == nil {
		c.writeToken = make(chan struct{}, 1)
	}
	return c
}

// innermost is the connection that others, such as a *tls.Conn, are wrapped around.
func innermost(nc net.Conn) net.Conn {
	for {
		outer, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = outer.NetConn()
	}
}

var framePool = sync.Pool{New: func() any { return new([]byte) }}

// writeFrame writes a frame. Where there is a raw connection it doesn't wait.
func (c *conn) writeFrame(op byte, payload []byte, deadline time.Time) error {
	p := framePool.Get().(*[]byte)
	*p = appendFrame((*p)[:0], op, payload)
	defer func() {
		if cap(*p) <= 2*inlineWriteMax {
			framePool.Put(p)
		}
	}()
	if c.raw != nil {
		_, err := c.nc.Write(*p)
		return err
	}
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	select {
	case c.writeToken <- struct{}{}:
	case <-t.C:
		return os.ErrDeadlineExceeded
	}
	defer func() { <-c.writeToken }()
	if err := c.nc.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err := c.nc.Write(*p)
	if err != nil {
		c.Abort() // half a frame may have been written
	}
	return err
}

// writeAndFlush writes a frame and waits until it has gone.
func (c *conn) writeAndFlush(op byte, payload []byte, deadline time.Time) error {
	if err := c.writeFrame(op, payload, deadline); err != nil || c.raw == nil {
		return err
	}
	return c.raw.flush(deadline)
}

// Write implements signal.Conn.
func (c *conn) Write(frame []byte, deadline time.Time) error {
	begun := c.partialWrite
	if c.partialWrite = nil; begun != nil && begun == &frame[0] {
		return c.raw.flush(deadline)
	}
	return c.writeAndFlush(opText, frame, deadline)
}

// TryWrite implements signal.NonblockingConn.
func (c *conn) TryWrite(frame []byte) (done bool, err error) {
	if c.raw == nil || len(frame) > inlineWriteMax || !c.raw.idle() {
		return false, nil
	}
	if err := c.writeFrame(opText, frame, time.Time{}); err != nil {
		return false, err
	}
	if c.raw.idle() {
		return true, nil
	}
	c.partialWrite = &frame[0]
	return false, nil
}

// Ping implements signal.Conn.
func (c *conn) Ping(deadline time.Time) error { return c.writeAndFlush(opPing, nil, deadline) }

// TryPing implements signal.NonblockingConn.
func (c *conn) TryPing() (done bool, err error) {
	if c.raw == nil || !c.raw.idle() {
		return false, nil
	}
	err = c.writeFrame(opPing, nil, time.Time{})
	return err == nil, err // should it be kept, the next write sends it
}

// sendPong answers a ping, unless the other side doesn't read: the answer to its next ping will do (RFC 6455
// section 5.5.3).
func (c *conn) sendPong(body []byte) {
	if c.raw == nil || c.raw.idle() {
		_ = c.writeFrame(opPong, body, time.Now().Add(closeWait)) // no reason to stop reading
	}
}

// Close implements signal.Conn.
func (c *conn) Close(why signal.Reason) {
	code, text := closeCode(why)
	if c.claimClose() && c.writeAndFlush(opClose, closePayload(code, text), time.Now().Add(closeWait)) != nil {
		c.Abort()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.aborted && c.linger == nil {
		c.linger = time.AfterFunc(closeWait, c.Abort)
	}
}

// sendClose writes a close frame after which nothing is read, unless one has been written.
func (c *conn) sendClose(payload []byte) {
	if c.claimClose() {
		_ = c.writeFrame(opClose, payload, time.Now().Add(closeWait))
	}
}

// claimClose reports whether the caller should write a close frame: only the first one does.
func (c *conn) claimClose() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.closeSent
	c.closeSent = true
	return first
}

// Abort implements signal.Conn. It goes below TLS, whose own Close may wait to write.
func (c *conn) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aborted = true
	if c.linger != nil {
		c.linger.Stop()
	}
	_ = innermost(c.nc).Close()
}

// release gives up what Abort leaves to who reads.
func (c *conn) release() {
	if c.raw != nil {
		c.raw.release()
	}
}
