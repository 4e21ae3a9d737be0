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

// carrier is a WebSocket as a transport.
type carrier struct {
	signal.Prompt
	once sync.Once
	gone chan struct{} // closed when nothing more should be read
}

// Answers implements transport.
func (c *carrier) Answers() bool { return true }

// Close implements signal.Conn.
func (c *carrier) Close(why signal.Reason) {
	c.over()
	c.Prompt.Close(why)
}

// Abort implements signal.Conn.
func (c *carrier) Abort() {
	c.over()
	c.Prompt.Abort()
}

func (c *carrier) over() { c.once.Do(func() { close(c.gone) }) }

// link is a WebSocket, from its upgrade to its end: first nobody's, then a session's transport. It is what
// package websocket reads for, and its carrier what the session writes to.
type link struct {
	*carrier
	handler *Handler
	visitor signal.Visitor
	left    func() // tells the hub that nothing of it is left

	// The reader's.
	bucket rate.Bucket // of what comes while there is no session
	timer  *time.Timer // until there is a session
	slot   func()      // nil when a session has it
	tries  int

	mu      sync.Mutex
	session *session
}

func newLink(h *Handler, c signal.Prompt, v signal.Visitor, slot func()) (*link, error) {
	l := &link{carrier: &carrier{Prompt: c, gone: make(chan struct{})}, handler: h, visitor: v, slot: slot}
	var err error
	if l.left, err = h.hub.Attend(); err != nil {
		slot()
		return l, err
	}
	l.timer = time.AfterFunc(helloWait, func() { l.orphan(signal.Unsaid) })
	h.orphans.add(l)
	return l, nil
}

// orphans are the links that have no session, which nobody else would end when the hub is shut down.
type orphans struct {
	mu    sync.Mutex
	links map[*link]struct{}
	over  bool
}

func (o *orphans) add(l *link) {
	o.mu.Lock()
	o.links[l] = struct{}{}
	over := o.over
	o.mu.Unlock()
	if over {
		l.orphan(signal.Restarting)
	}
}

func (o *orphans) remove(l *link) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.links, l)
}

// dismiss ends them all, and those that are yet to come.
func (o *orphans) dismiss() {
	o.mu.Lock()
	o.over = true
	all := slices.Collect(maps.Keys(o.links))
	o.mu.Unlock()
	for _, l := range all {
		l.orphan(signal.Restarting)
	}
}

// settle is for a link that has found its session, or its end.
func (l *link) settle() {
	l.handler.orphans.remove(l)
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// orphan ends a link that has no session.
func (l *link) orphan(why signal.Reason) {
	if l.owner() == nil {
		l.carrier.Close(why)
	}
}

func (l *link) owner() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session
}

// ID implements websocket.Peer.
func (l *link) ID() broker.ID {
	if s := l.owner(); s != nil {
		return s.client.ID()
	}
	return broker.ID{}
}

// Done implements websocket.Peer.
func (l *link) Done() <-chan struct{} { return l.gone }

// Seen implements websocket.Peer.
func (l *link) Seen() {
	if s := l.owner(); s != nil && s.carriedBy(l.carrier) {
		s.confirm()
		s.live()
	}
}

// Admit implements websocket.Peer.
func (l *link) Admit(size int) (wait time.Duration, tooFast bool) {
	if s := l.owner(); s != nil {
		return s.admit(size)
	}
	limits := l.handler.hub.Limits()
	r := rate.Rate{PerSecond: limits.MessagesPerSecond, Burst: float64(limits.MessageBurst)}
	return l.bucket.Spend(r, time.Now(), 1), false
}

// End implements websocket.Peer: what can't be read ends the session, or it would come again.
func (l *link) End(why signal.Reason) {
	if s := l.owner(); s != nil && s.carriedBy(l.carrier) {
		s.client.End(why)
		return
	}
	l.orphan(why)
}

// Open implements websocket.Session.
func (l *link) Open() {}

// Close implements websocket.Peer: reading has ended.
func (l *link) Close() {
	l.settle()
	if s := l.owner(); s != nil {
		s.lose(l.carrier)
	}
	l.Abort()
	if l.slot != nil {
		l.slot()
	}
	l.left()
}

// TryClose implements websocket.Peer. Closing a link waits for nobody: a session without transport ends elsewhere.
func (l *link) TryClose(first func()) (done bool) {
	first()
	l.Close()
	return true
}

// Refuse implements websocket.Session.
func (l *link) Refuse(e *signal.Error) {
	m := failure(&wire.Request{}, e)
	if s := l.owner(); s != nil {
		s.tell(m)
		return
	}
	l.say(m)
}

// say writes to a link that has no session. Only its reader does.
func (l *link) say(m *wire.Message) {
	if l.Write(m.Encode(), time.Now().Add(byeWait)) != nil {
		l.Abort()
	}
}

// Text implements websocket.Session.
func (l *link) Text(text []byte) (slow func()) {
	if s := l.owner(); s != nil {
		return s.handle(l.carrier, text)
	}
	return l.greet(text)
}

func (l *link) adopt(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session = s
}
