// Package websocket serves signalling clients over WebSockets (RFC 6455). It upgrades the request, writes messages as the
// hub's [signal.Conn], and passes the text messages that it reads to a protocol's [MessageHandler]. Every protocol that uses
// text frames shares it.
//
// # Reading
//
// On Linux one goroutine, the poller, reads all connections. An idle connection therefore costs neither a stack nor a read
// buffer, and the poller handles messages that arrive at the same time without switching goroutines. After the upgrade, a
// connection leaves net/http and Go's netpoller. A connection inside another one, such as a *tls.Conn, can be polled only
// if it comes from a listener of [Listen], because this package cannot exchange the socket of any other.
//
// The poller must not block. Work that can block (a sign-in, a client that sends too fast, a large message) runs in a
// goroutine, and the poller does not read the connection until that work is done. Connections that cannot be polled, and all
// connections on other systems, have a goroutine each that reads them.
//
// The handshake is done by gorilla/websocket; [NewUpgradeListener] even runs it in the poller. Frames are read and written
// here (RFC 6455 section 5), because gorilla's reader blocks until a frame is complete and keeps a buffer per connection.
//
// Compression (RFC 7692) is never negotiated, because its state takes many times the memory of the rest of a connection.
//
// # Limits
//
// These are enforced before a protocol sees a message:
//   - A message above [signal.Limits].MaxMessage is answered with an error. Then the connection ends with close code 1009.
//   - A text message that is not valid UTF-8 ends the connection with close code 1007. If the server forwarded it, the
//     recipient's browser would have to close the recipient's connection (RFC 6455 section 8.1).
//   - A message has to be complete 30 s after its first byte. Otherwise the connection ends with close code 1008.
//   - Pings and pongs count against the client's message rate.
package websocket

import (
	"net"
	"os"
	"sync"
	"time"

	"icebox/signal"
)

const (
	handshakeWait = 5 * time.Second  // limits writing the response to an upgrade
	messageWait   = 30 * time.Second // limits the time from a message's first byte to its last
	closeWait     = time.Second      // limits writing a pong or close frame, and then the client's response to a close frame

	// TryWrite leaves messages of more than inlineWriteMax bytes to Write, because its caller may be the poller.
	inlineWriteMax = 64 << 10
)

// conn is a WebSocket after the upgrade. It implements [signal.NonblockingConn].
type conn struct {
	nc  net.Conn // equal to raw, or a connection around raw; if raw is nil, any other connection
	raw *rawConn // nil if the poller cannot read the connection

	// writeToken has a capacity of 1. A write to a connection without raw holds it. It is not a mutex, because a writer gives
	// up at its deadline.
	writeToken chan struct{}

	// partialWrite identifies the message that TryWrite has written in part, by its first byte. Only TryWrite and Write use
	// it, which are never called at the same time.
	partialWrite *byte

	mu        sync.Mutex
	aborted   bool
	closeSent bool        // a close frame has been sent
	linger    *time.Timer // calls Abort if the client does not close the connection after a close frame
}

// newConn returns the conn for a connection that has been upgraded.
func newConn(nc net.Conn) *conn {
	c := &conn{nc: nc}
	switch bottom := innermost(nc).(type) {
	case *net.TCPConn:
		if nc != net.Conn(bottom) {
			break // the connections around it would go on using the TCPConn, which newRawConn closes
		}
		if raw, err := newRawConn(bottom); err == nil {
			c.nc, c.raw = raw, raw
		}
	case *rawConn: // the upgrade listener has accepted it
		c.raw = bottom
	case *pollableConn:
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

// innermost returns the connection inside all others, such as the one inside a *tls.Conn.
func innermost(nc net.Conn) net.Conn {
	for {
		outer, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = outer.NetConn()
	}
}

// framePool holds the frames that are being written, as *[]byte.
var framePool = sync.Pool{New: func() any { return new([]byte) }}

// writeFrame writes a frame. With a raw connection it does not block, ignores the deadline, and may leave bytes unsent.
// Otherwise it blocks until the frame is written.
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
		c.Abort() // a part of the frame may have been written, so no other frame can follow
	}
	return err
}

// writeAndFlush writes a frame and blocks until the kernel has accepted all of it.
func (c *conn) writeAndFlush(op byte, payload []byte, deadline time.Time) error {
	if err := c.writeFrame(op, payload, deadline); err != nil || c.raw == nil {
		return err
	}
	return c.raw.flush(deadline)
}

// Write implements [signal.Conn]. If TryWrite has written a part of this message, Write only sends the rest.
func (c *conn) Write(frame []byte, deadline time.Time) error {
	begun := c.partialWrite
	if c.partialWrite = nil; begun != nil && begun == &frame[0] {
		return c.raw.flush(deadline)
	}
	return c.writeAndFlush(opText, frame, deadline)
}

// TryWrite implements [signal.NonblockingConn].
func (c *conn) TryWrite(frame []byte) (done bool, err error) {
	if c.raw == nil || len(frame) > inlineWriteMax || !c.raw.allSent() {
		return false, nil
	}
	if err := c.writeFrame(opText, frame, time.Time{}); err != nil {
		return false, err
	}
	if c.raw.allSent() {
		return true, nil
	}
	c.partialWrite = &frame[0]
	return false, nil
}

// Ping implements [signal.Conn].
func (c *conn) Ping(deadline time.Time) error { return c.writeAndFlush(opPing, nil, deadline) }

// TryPing implements [signal.NonblockingConn].
func (c *conn) TryPing() (done bool, err error) {
	if c.raw == nil || !c.raw.allSent() {
		return false, nil
	}
	err = c.writeFrame(opPing, nil, time.Time{})
	return err == nil, err // if a part of the ping is unsent, the next write sends it
}

// sendPong responds to a ping. It does nothing while earlier bytes are unsent, which means that the client does not read.
// RFC 6455 section 5.5.3 allows that, because a response to the most recent ping is enough.
func (c *conn) sendPong(body []byte) {
	if c.raw == nil || c.raw.allSent() {
		_ = c.writeFrame(opPong, body, time.Now().Add(closeWait)) // a failure does not end reading
	}
}

// Close implements [signal.Conn]. It sends a close frame, unless one has been sent, and calls Abort after closeWait if the
// client has not closed the connection by then. If the close frame cannot be sent, it calls Abort at once.
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

// sendClose writes a close frame, unless one has been written.
func (c *conn) sendClose(payload []byte) {
	if c.claimClose() {
		_ = c.writeFrame(opClose, payload, time.Now().Add(closeWait))
	}
}

// claimClose reports whether the caller has to write the close frame. It returns true once.
func (c *conn) claimClose() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.closeSent
	c.closeSent = true
	return first
}

// Abort implements [signal.Conn]. It closes the innermost connection, because closing a *tls.Conn can block on a write.
func (c *conn) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aborted = true
	if c.linger != nil {
		c.linger.Stop()
	}
	_ = innermost(c.nc).Close()
}

// release frees the descriptor of a raw connection. Abort does not, because the reader may be using it. Only the reader
// calls release, after its last read. No other method may be called afterwards.
func (c *conn) release() {
	if c.raw != nil {
		c.raw.release()
	}
}
