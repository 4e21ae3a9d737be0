package native

import (
	"maps"
	"slices"
	"sync"
	"time"

	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/protocol/native/wire"
	"icebox/signal/rate"
)

// wsTransport is a WebSocket as a transport.
type wsTransport struct {
	signal.NonblockingConn
	once         sync.Once
	readingEnded chan struct{} // closed when the reader should stop
}

// AnswersPings implements transport.
func (t *wsTransport) AnswersPings() bool { return true }

// Close implements signal.Conn.
func (t *wsTransport) Close(why signal.Reason) {
	t.endReading()
	t.NonblockingConn.Close(why)
}

// Abort implements signal.Conn.
func (t *wsTransport) Abort() {
	t.endReading()
	t.NonblockingConn.Abort()
}

func (t *wsTransport) endReading() { t.once.Do(func() { close(t.readingEnded) }) }

// webSocket is a WebSocket connection from its upgrade to its end. It is pending until the client has signed in; after
// that it is the transport of a session. Package websocket reads the connection and calls the webSocket as its Peer and
// MessageHandler. The session writes to the wsTransport.
type webSocket struct {
	*wsTransport
	handler *Handler
	visitor signal.Visitor
	untrack func() // stops the hub's Shutdown from waiting for the connection

	// Only the reader uses these.
	bucket      rate.Bucket // limits the rate of messages while the WebSocket is pending
	timer       *time.Timer // closes the WebSocket unless it signs in; nil when it is no longer pending
	releaseConn func()      // stops counting the connection; nil when a session is responsible for calling it
	helloCount  int         // messages received while pending

	mu      sync.Mutex
	session *session
}

func newWebSocket(h *Handler, c signal.NonblockingConn, v signal.Visitor, releaseConn func()) (*webSocket, error) {
	t := &wsTransport{NonblockingConn: c, readingEnded: make(chan struct{})}
	w := &webSocket{wsTransport: t, handler: h, visitor: v, releaseConn: releaseConn}
	var err error
	if w.untrack, err = h.hub.Track(); err != nil {
		releaseConn()
		return w, err
	}
	w.timer = time.AfterFunc(helloWait, func() { w.closePending(signal.SignInTimeout) })
	h.pending.addSocket(w)
	return w, nil
}

// pendingSockets is the set of WebSockets that have not signed in. The hub does not know them, so the handler has to
// close them when the hub shuts down.
type pendingSockets struct {
	mu      sync.Mutex
	sockets map[*webSocket]struct{}
	closed  bool
}

func (p *pendingSockets) addSocket(w *webSocket) {
	p.mu.Lock()
	p.sockets[w] = struct{}{}
	closed := p.closed
	p.mu.Unlock()
	if closed {
		w.closePending(signal.Restarting)
	}
}

func (p *pendingSockets) removeSocket(w *webSocket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sockets, w)
}

// closeAll closes all pending WebSockets, and makes addSocket close each further one.
func (p *pendingSockets) closeAll() {
	p.mu.Lock()
	p.closed = true
	all := slices.Collect(maps.Keys(p.sockets))
	p.mu.Unlock()
	for _, w := range all {
		w.closePending(signal.Restarting)
	}
}

// stopPending is called when the WebSocket has a session or has ended. It removes the WebSocket from the pending ones and
// stops its timer.
func (w *webSocket) stopPending() {
	w.handler.pending.removeSocket(w)
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}

// closePending closes the WebSocket if it has no session.
func (w *webSocket) closePending(why signal.Reason) {
	if w.currentSession() == nil {
		w.wsTransport.Close(why)
	}
}

func (w *webSocket) currentSession() *session {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.session
}

// ID implements websocket.Peer. It is zero while the WebSocket is pending.
func (w *webSocket) ID() broker.ID {
	if s := w.currentSession(); s != nil {
		return s.client.ID()
	}
	return broker.ID{}
}

// Done implements websocket.Peer.
func (w *webSocket) Done() <-chan struct{} { return w.readingEnded }

// Seen implements websocket.Peer. Frames on a transport that has been replaced do not count as signs of life.
func (w *webSocket) Seen() {
	if s := w.currentSession(); s != nil && s.isTransport(w.wsTransport) {
		s.markConfirmed()
		s.markAlive()
	}
}

// CountMessage implements websocket.Peer. A pending WebSocket has a rate limit of its own.
func (w *webSocket) CountMessage(size int) (wait time.Duration, tooFast bool) {
	if s := w.currentSession(); s != nil {
		return s.countMessage(size)
	}
	limits := w.handler.hub.Limits()
	r := rate.Rate{PerSecond: limits.MessagesPerSecond, Burst: float64(limits.MessageBurst)}
	return w.bucket.Spend(r, time.Now(), 1), false
}

// End implements websocket.Peer. It is called for input that cannot be read, and ends the whole session: a client that
// could resume would only send the same input again.
func (w *webSocket) End(why signal.Reason) {
	if s := w.currentSession(); s != nil && s.isTransport(w.wsTransport) {
		s.client.End(why)
		return
	}
	w.closePending(why)
}

// Open implements websocket.MessageHandler.
func (w *webSocket) Open() {}

// Close implements websocket.Peer. It is called once, when reading has ended.
func (w *webSocket) Close() {
	w.stopPending()
	if s := w.currentSession(); s != nil {
		s.detach(w.wsTransport)
	}
	w.Abort()
	if w.releaseConn != nil {
		w.releaseConn()
	}
	w.untrack()
}

// TryClose implements websocket.Peer. It always succeeds, because Close does not block here: it only detaches the session.
// The hub ends the session later, in another goroutine.
func (w *webSocket) TryClose(first func()) (done bool) {
	first()
	w.Close()
	return true
}

// SendError implements websocket.MessageHandler.
func (w *webSocket) SendError(e *signal.Error) {
	m := errorMessage(&wire.Request{}, e)
	if s := w.currentSession(); s != nil {
		s.sendMessage(m)
		return
	}
	w.writeDirect(m)
}

// writeDirect writes to a pending WebSocket, or aborts it if that fails. Only the reader may call it.
func (w *webSocket) writeDirect(m *wire.Message) {
	if w.Write(m.Encode(), time.Now().Add(byeWait)) != nil {
		w.Abort()
	}
}

// HandleText implements websocket.MessageHandler.
func (w *webSocket) HandleText(text []byte) (slow func()) {
	if s := w.currentSession(); s != nil {
		return s.handleMessage(w.wsTransport, text)
	}
	return w.handleHello(text)
}

func (w *webSocket) setSession(s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.session = s
}
