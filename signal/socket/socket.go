// Package socket makes clients of WebSockets: it upgrades a request, serves as the hub's [signal.Conn], and
// reads frames into a protocol's session. Every protocol that speaks text frames shares it.
//
// A connection costs one goroutine, which reads, a read buffer of 1 KiB and no write buffer while nothing is
// written. It is served outside of ServeHTTP, so that net/http's buffers and stack are given back.
// Compression is never negotiated: per connection it would cost many times the rest.
//
// Limits that the protocol doesn't see: a message above the limit is answered with an error and close code
// 1009; a text frame that isn't UTF-8 with 1007, because a browser that got it forwarded would have to fail
// its own connection; a message must be complete 30 s after its first byte; pings and pongs count against the
// client's rate.
package socket

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"icebox/signal"
)

const (
	handshakeWait = 5 * time.Second  // to write the response to an upgrade
	messageWait   = 30 * time.Second // from a message's first frame to its last
	closeWait     = time.Second      // to write a close frame, and then for the other side to answer
	readBuffer    = 1 << 10
	writeBuffer   = 4 << 10
)

var upgrader = websocket.Upgrader{
	HandshakeTimeout: handshakeWait,
	ReadBufferSize:   readBuffer,
	WriteBufferSize:  writeBuffer,
	WriteBufferPool:  &sync.Pool{},
	CheckOrigin:      func(*http.Request) bool { return true }, // the gateway has judged it already
}

// conn is a WebSocket as a signal.Conn.
type conn struct {
	ws *websocket.Conn

	mu     sync.Mutex
	dead   bool
	linger *time.Timer // cuts the connection when the other side doesn't answer a close frame
}

// Write implements signal.Conn.
func (c *conn) Write(frame []byte, deadline time.Time) error {
	if err := c.ws.SetWriteDeadline(deadline); err != nil {
		return err
	}
	return c.ws.WriteMessage(websocket.TextMessage, frame)
}

// Ping implements signal.Conn.
func (c *conn) Ping(deadline time.Time) error {
	return c.ws.WriteControl(websocket.PingMessage, nil, deadline)
}

// Close implements signal.Conn.
func (c *conn) Close(why signal.Reason) {
	code, text := closing(why)
	err := c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), time.Now().Add(closeWait))
	if err != nil {
		c.Abort()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead {
		c.linger = time.AfterFunc(closeWait, c.Abort)
	}
}

// Abort implements signal.Conn. It goes below TLS, whose own Close may wait to write.
func (c *conn) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	if c.linger != nil {
		c.linger.Stop()
	}
	_ = below(c.ws.NetConn()).Close()
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

// closing returns the close code (RFC 6455 section 7.4 and its registry) and the text for a reason.
func closing(why signal.Reason) (code int, text string) {
	switch why {
	case signal.Restarting:
		return websocket.CloseServiceRestart, "server restarts, connect again"
	case signal.TooLarge:
		return websocket.CloseMessageTooBig, "message too large"
	case signal.BadText:
		return websocket.CloseInvalidFramePayloadData, "text is not UTF-8"
	case signal.SlowReader, signal.WriteFailed:
		return websocket.ClosePolicyViolation, "reads too slowly"
	case signal.Superseded:
		return websocket.ClosePolicyViolation, "name taken over by a newer connection"
	case signal.PongTimeout:
		return websocket.ClosePolicyViolation, "no answer to a ping"
	case signal.Stalled:
		return websocket.ClosePolicyViolation, "message not completed in time"
	case signal.Unsaid:
		return websocket.ClosePolicyViolation, "no sign-in in time"
	case signal.Broken:
		return websocket.CloseInternalServerErr, "internal error"
	default:
		return websocket.CloseNormalClosure, ""
	}
}
