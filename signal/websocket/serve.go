package websocket

import (
	"log/slog"
	"net/http"
	"time"

	gorilla "github.com/gorilla/websocket"

	"icebox/signal"
	"icebox/signal/broker"
)

// upgrader does the handshake. What it makes beyond that is dropped at once, so its buffers are as small as may be.
var upgrader = gorilla.Upgrader{
	HandshakeTimeout: handshakeWait,
	ReadBufferSize:   128,
	WriteBufferSize:  128,
	CheckOrigin:      func(*http.Request) bool { return true }, // the gateway has judged it already
}

// MessageHandler is a protocol's side of one client. It is called by one goroutine at a time.
type MessageHandler interface {
	// Open is called once, before anything is read.
	Open()
	// HandleText takes a message, without waiting for anything. What may take its time it returns, to be called once where
	// waiting is no harm; nothing else comes from the client before that has returned. The bytes are lent for both calls.
	HandleText(message []byte) (slow func())
	// SendError tells the client about a message that Text never sees.
	SendError(*signal.Error)
}

// Service says how to serve a WebSocket.
type Service struct {
	Hub        *signal.Hub
	Logger     *slog.Logger // for panics
	Profile    signal.Profile
	NewHandler func(*signal.Client) MessageHandler
}

// Serve upgrades the request and returns. The client is served by a goroutine that the hub waits for. Done
// is called once, when the client has gone or could not be served; a failed upgrade has been answered.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, v signal.Visitor, done func()) {
	// A browser that offered subprotocols fails the connection when none is chosen.
	var chosen string
	if offered := gorilla.Subprotocols(r); len(offered) > 0 {
		chosen = offered[0]
	}
	h := Host{Hub: s.Hub, Logger: s.Logger, Accept: func(c signal.NonblockingConn) (Peer, MessageHandler, error) {
		client, err := s.Hub.Connect(c, s.Profile, v)
		if err != nil {
			return nil, nil, err
		}
		return client, s.NewHandler(client), nil
	}}
	h.Serve(w, r, chosen, done)
}

// Peer is who a WebSocket is read for. A [signal.Client] is one.
type Peer interface {
	ID() broker.ID
	Done() <-chan struct{} // closed when nothing more should be read
	Seen()
	// CountMessage counts a message. The client may send it after a wait, and should perhaps be told that it is too fast.
	CountMessage(size int) (wait time.Duration, tooFast bool)
	End(signal.Reason)
	// Close is called once, when reading has ended. TryClose is Close for who must not wait: it calls first before the
	// other side can notice, or reports false and does nothing.
	Close()
	TryClose(first func()) (done bool)
}

// Host serves WebSockets whose peers aren't clients from their first moment.
type Host struct {
	Hub    *signal.Hub
	Logger *slog.Logger
	// Accept makes a peer of a connection. The hub must wait for it.
	Accept func(signal.NonblockingConn) (Peer, MessageHandler, error)
}

// Serve upgrades the request to a subprotocol, if any, and returns. Done is called as by [Service.Serve].
func (h *Host) Serve(w http.ResponseWriter, r *http.Request, subprotocol string, done func()) {
	var header http.Header
	if subprotocol != "" {
		header = http.Header{"Sec-Websocket-Protocol": {subprotocol}}
	}
	ws, err := upgrader.Upgrade(w, r, header)
	if err != nil {
		done()
		return
	}
	c := newConn(ws.NetConn())
	untrack, err := h.Hub.Track()
	var peer Peer
	var session MessageHandler
	if err == nil {
		if peer, session, err = h.Accept(c); err != nil {
			untrack()
		}
	}
	if err != nil {
		code, text := closeCode(signal.Restarting)
		c.sendClose(closePayload(code, text))
		c.Abort()
		c.release()
		done()
		return
	}
	l := &reader{host: h, conn: c, peer: peer, handler: session, done: done, untrack: untrack}
	if c.raw == nil {
		go l.run()
		return
	}
	l.startPolling()
}
