package websocket

import (
	"log/slog"
	"net/http"
	"time"

	gorilla "github.com/gorilla/websocket"

	"icebox/signal"
	"icebox/signal/broker"
)

// upgrader does the handshake (RFC 6455 section 4.2). Host uses only the network connection inside the gorilla connection
// that it returns, so gorilla's buffers have the smallest useful size.
var upgrader = gorilla.Upgrader{
	HandshakeTimeout: handshakeWait,
	ReadBufferSize:   128,
	WriteBufferSize:  128,
	CheckOrigin:      func(*http.Request) bool { return true }, // the gateway has checked it already
}

// MessageHandler handles the messages of one client for a protocol. One goroutine at a time calls its methods.
type MessageHandler interface {
	// Open is called once, before the first message is read.
	Open()
	// HandleText handles a message of valid UTF-8. It must not block, because it may run in the goroutine that reads all
	// connections. It returns the part of its work that can block as slow, or nil. slow is called once, in a goroutine that
	// may block; the next message is handled after it has returned. message must not be used after HandleText and slow.
	HandleText(message []byte) (slow func())
	// SendError tells the client why this package refused a message without calling HandleText, or that the client sends
	// too fast.
	SendError(*signal.Error)
}

// Service serves the WebSockets of a protocol. Each connection becomes a [signal.Client] at once.
type Service struct {
	Hub        *signal.Hub
	Logger     *slog.Logger // logs the panics of handlers
	Profile    signal.Profile
	NewHandler func(*signal.Client) MessageHandler
}

// Serve upgrades the request and returns. From then on the poller or a goroutine serves the client; the hub's Shutdown
// waits for it. If the upgrade fails, Serve has sent an HTTP error. In each case Serve makes sure that done is called once,
// when the client is gone. done must not block.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, v signal.Visitor, done func()) {
	// A browser that offers subprotocols fails the connection if the server chooses none of them.
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

// Peer is the hub's view of the client that a WebSocket belongs to. [signal.Client] implements it.
type Peer interface {
	// ID identifies the client in logs.
	ID() broker.ID
	// Done returns a channel that is closed when the client ends. From then on its messages are ignored.
	Done() <-chan struct{}
	// Seen records that bytes have arrived, which shows that the client is alive.
	Seen()
	// CountMessage counts a message of size bytes against the client's rate. The caller has to delay the message by wait.
	// If tooFast is true, the caller should tell the client that it sends too fast.
	CountMessage(size int) (wait time.Duration, tooFast bool)
	// End ends the client and closes its connection. It does not block.
	End(signal.Reason)
	// Close frees everything that the client holds. It may block. Either Close is called once, after the last read, or
	// TryClose returns true.
	Close()
	// TryClose is Close for callers that must not block. It reports false, without an effect, if Close would block.
	// Otherwise it calls first before other clients can notice that this one is gone.
	TryClose(first func()) (done bool)
}

// Host serves the WebSockets of a protocol that chooses the [Peer] of each connection itself. For example, the native
// protocol makes a [signal.Client] only after a valid hello, or resumes a session.
type Host struct {
	Hub    *signal.Hub
	Logger *slog.Logger
	// Accept is called after the upgrade. It returns the peer of the connection and the handler of its messages. The peer
	// has to end when the hub shuts down, because Shutdown waits for it. If Accept fails, Host closes the connection with a
	// code that tells the client to connect again.
	Accept func(signal.NonblockingConn) (Peer, MessageHandler, error)
}

// Serve upgrades the request and returns, like [Service.Serve]. If subprotocol is not empty, the response names it as the
// one that the server has chosen.
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
	var handler MessageHandler
	if err == nil {
		if peer, handler, err = h.Accept(c); err != nil {
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
	rd := &reader{host: h, conn: c, peer: peer, handler: handler, done: done, untrack: untrack}
	if c.raw == nil {
		go rd.run()
		return
	}
	rd.startPolling()
}
