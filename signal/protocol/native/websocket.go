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
	readingEnded chan struct{} // closed when nothing more should be read
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

// webSocket is a WebSocket, from its upgrade to its end: first nobody's, then a session's transport. It is what
// package websocket reads for, and its wsTransport what the session writes to.
type webSocket struct {
	*wsTransport
	handler *Handler
	visitor signal.Visitor
	untrack func() // tells the hub that nothing of it is left

	// The reader's.
	bucket      rate.Bucket // of what comes while there is no session
	timer       *time.Timer // until there is a session
	releaseConn func()      // nil when a session has it
	helloCount  int

	mu      sync.Mutex
	session *session
}

func newWebSocket(h *Handler, c signal.NonblockingConn, v signal.Visitor, releaseConn func()) (*webSocket, error) {
	l := &webSocket{wsTransport: &wsTransport{NonblockingConn: c, readingEnded: make(chan struct{})}, handler: h, visitor: v, releaseConn: releaseConn}
	var err error
	if l.untrack, err = h.hub.Track(); err != nil {
		releaseConn()
		return l, err
	}
	l.timer = time.AfterFunc(helloWait, func() { l.closePending(signal.SignInTimeout) })
	h.pending.addSocket(l)
	return l, nil
}

// pendingSockets are the WebSockets that have no session, which nobody else would end when the hub is shut down.
type pendingSockets struct {
	mu      sync.Mutex
	sockets map[*webSocket]struct{}
	closed  bool
}

func (o *pendingSockets) addSocket(l *webSocket) {
	o.mu.Lock()
	o.sockets[l] = struct{}{}
	over := o.closed
	o.mu.Unlock()
	if over {
		l.closePending(signal.Restarting)
	}
}

func (o *pendingSockets) removeSocket(l *webSocket) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.sockets, l)
}

// closeAll ends them all, and those that are yet to come.
func (o *pendingSockets) closeAll() {
	o.mu.Lock()
	o.closed = true
	all := slices.Collect(maps.Keys(o.sockets))
	o.mu.Unlock()
	for _, l := range all {
		l.closePending(signal.Restarting)
	}
}

// stopPending is for a WebSocket that has found its session, or its end.
func (w *webSocket) stopPending() {
	w.handler.pending.removeSocket(w)
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}

// closePending ends a WebSocket that has no session.
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

// ID implements websocket.Peer.
func (w *webSocket) ID() broker.ID {
	if s := w.currentSession(); s != nil {
		return s.client.ID()
	}
	return broker.ID{}
}

// Done implements websocket.Peer.
func (w *webSocket) Done() <-chan struct{} { return w.readingEnded }

// Seen implements websocket.Peer.
func (w *webSocket) Seen() {
	if s := w.currentSession(); s != nil && s.isTransport(w.wsTransport) {
		s.markConfirmed()
		s.markAlive()
	}
}

// CountMessage implements websocket.Peer.
func (w *webSocket) CountMessage(size int) (wait time.Duration, tooFast bool) {
	if s := w.currentSession(); s != nil {
		return s.countMessage(size)
	}
	limits := w.handler.hub.Limits()
	r := rate.Rate{PerSecond: limits.MessagesPerSecond, Burst: float64(limits.MessageBurst)}
	return w.bucket.Spend(r, time.Now(), 1), false
}

// End implements websocket.Peer: what can't be read ends the session, or it would come again.
func (w *webSocket) End(why signal.Reason) {
	if s := w.currentSession(); s != nil && s.isTransport(w.wsTransport) {
		s.client.End(why)
		return
	}
	w.closePending(why)
}

// Open implements websocket.Session.
func (w *webSocket) Open() {}

// Close implements websocket.Peer: reading has ended.
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

// TryClose implements websocket.Peer. Closing a WebSocket waits for nobody: a session without transport ends elsewhere.
func (w *webSocket) TryClose(first func()) (done bool) {
	first()
	w.Close()
	return true
}

// SendError implements websocket.Session.
func (w *webSocket) SendError(e *signal.Error) {
	m := errorMessage(&wire.Request{}, e)
	if s := w.currentSession(); s != nil {
		s.sendMessage(m)
		return
	}
	w.writeDirect(m)
}

// writeDirect writes to a WebSocket that has no session. Only its reader does.
func (w *webSocket) writeDirect(m *wire.Message) {
	if w.Write(m.Encode(), time.Now().Add(byeWait)) != nil {
		w.Abort()
	}
}

// HandleText implements websocket.Session.
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
