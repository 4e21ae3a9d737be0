package socket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"icebox/signal"
	"icebox/signal/broker"
)

// Session is a protocol's side of one client. Only the goroutine that reads the client calls it.
type Session interface {
	// Open is called once, before anything is read.
	Open()
	// Text takes a message. Its bytes are lent for the call.
	Text(message []byte)
	// Refuse tells the client about a message that Text never sees.
	Refuse(*signal.Error)
}

// Service says how to serve a WebSocket.
type Service struct {
	Hub     *signal.Hub
	Logger  *slog.Logger // for panics
	Profile signal.Profile
	Session func(*signal.Client) Session
}

// Serve upgrades the request and returns. The client is served by a goroutine that the hub waits for. Done
// is called once, when the client has gone or could not be served; a failed upgrade has been answered.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, v signal.Visitor, done func()) {
	// A browser that offered subprotocols fails the connection when none is chosen.
	var chosen string
	if offered := websocket.Subprotocols(r); len(offered) > 0 {
		chosen = offered[0]
	}
	h := Host{Hub: s.Hub, Logger: s.Logger, Accept: func(c signal.Conn) (Peer, Session, error) {
		client, err := s.Hub.Connect(c, s.Profile, v)
		if err != nil {
			return nil, nil, err
		}
		return client, s.Session(client), nil
	}}
	h.Serve(w, r, chosen, done)
}

// Peer is who a WebSocket is read for. A [signal.Client] is one.
type Peer interface {
	ID() broker.ID
	Done() <-chan struct{} // closed when nothing more should be read
	Seen()
	Admit(size int) (tooFast bool)
	End(signal.Reason)
	Close() // called once, when reading has ended
}

// Host serves WebSockets whose peers aren't clients from their first moment.
type Host struct {
	Hub    *signal.Hub
	Logger *slog.Logger
	// Accept makes a peer of a connection. The hub must wait for it.
	Accept func(signal.Conn) (Peer, Session, error)
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
	c := &conn{ws: ws}
	peer, session, err := h.Accept(c)
	if err != nil {
		c.Close(signal.Restarting)
		c.Abort()
		done()
		return
	}
	l := &link{host: h, ws: ws, client: peer, session: session}
	go l.run(done)
}

// link is the reader of one client.
type link struct {
	host    *Host
	ws      *websocket.Conn
	client  Peer
	session Session
}

func (l *link) run(done func()) {
	defer l.client.Close()
	defer done()
	defer l.caught()
	l.ws.SetPongHandler(func(string) error {
		l.client.Seen()
		l.client.Admit(0)
		return nil
	})
	l.ws.SetPingHandler(func(data string) error {
		l.client.Seen()
		l.client.Admit(0)
		// A pong that can't be written is no reason to stop reading: the write that blocks it has a deadline.
		_ = l.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(closeWait))
		return nil
	})
	l.session.Open()
	l.read()
}

// caught keeps a panic in one client's session from ending everybody's.
func (l *link) caught() {
	if p := recover(); p != nil {
		l.host.Logger.Error("client's session panicked",
			slog.String("client", l.client.ID().String()), slog.String("panic", fmt.Sprint(p)),
			slog.String("stack", string(debug.Stack())))
		l.client.End(signal.Broken)
		l.drain()
	}
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keepBuffer is the largest buffer that goes back to the pool.
const keepBuffer = 64 << 10

// read takes messages until the connection ends.
func (l *link) read() {
	for {
		kind, r, err := l.ws.NextReader()
		if err != nil {
			return
		}
		if !l.message(kind, r) {
			l.drain()
			return
		}
	}
}

// message reads one message and hands it to the session. It reports whether reading should go on.
func (l *link) message(kind int, r io.Reader) bool {
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= keepBuffer {
			buf.Reset()
			buffers.Put(buf)
		}
	}()
	limit := l.host.Hub.Limits().MaxMessage
	_ = l.ws.SetReadDeadline(time.Now().Add(messageWait))
	_, err := buf.ReadFrom(io.LimitReader(r, limit+1))
	_ = l.ws.SetReadDeadline(time.Time{})
	var netErr net.Error
	if errors.As(err, &netErr) && netErr.Timeout() {
		l.client.End(signal.Stalled)
	}
	if err != nil || l.ended() {
		return false
	}
	l.client.Seen()
	if l.client.Admit(buf.Len()) {
		l.refuse(signal.ErrRateLimited)
	}
	switch data := buf.Bytes(); {
	case int64(len(data)) > limit:
		l.refuse(signal.ErrTooLarge)
		l.client.End(signal.TooLarge)
	case kind != websocket.TextMessage:
		l.refuse(signal.ErrBinary)
	case !utf8.Valid(data):
		l.client.End(signal.BadText)
	default:
		l.session.Text(data)
	}
	return !l.ended()
}

func (l *link) refuse(e *signal.Error) {
	l.host.Hub.Refuse(e)
	l.session.Refuse(e)
}

func (l *link) ended() bool {
	select {
	case <-l.client.Done():
		return true
	default:
		return false
	}
}

// drain reads on without listening, so that the close frame isn't lost to a reset that unread data would
// cause. It ends when the other side closes, or when the connection is cut a second after the close frame.
func (l *link) drain() {
	for {
		if _, _, err := l.ws.NextReader(); err != nil {
			return
		}
	}
}
