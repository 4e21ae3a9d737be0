package native

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/native/wire"
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
// package socket reads for, and its carrier what the session writes to.
type link struct {
	*carrier
	handler *Handler
	visitor signal.Visitor
	left    func() // tells the hub that nothing of it is left

	// The reader's.
	timer *time.Timer // until there is a session
	slot  func()      // nil when a session has it
	tries int

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

// ID implements socket.Peer.
func (l *link) ID() broker.ID {
	if s := l.owner(); s != nil {
		return s.client.ID()
	}
	return broker.ID{}
}

// Done implements socket.Peer.
func (l *link) Done() <-chan struct{} { return l.gone }

// Seen implements socket.Peer.
func (l *link) Seen() {
	if s := l.owner(); s != nil && s.carriedBy(l.carrier) {
		s.confirm()
		s.live()
	}
}

// Admit implements socket.Peer.
func (l *link) Admit(size int) (wait time.Duration, tooFast bool) {
	if s := l.owner(); s != nil {
		return s.admit(size)
	}
	return 0, false
}

// End implements socket.Peer: what can't be read ends the session, or it would come again.
func (l *link) End(why signal.Reason) {
	if s := l.owner(); s != nil && s.carriedBy(l.carrier) {
		s.client.End(why)
		return
	}
	l.orphan(why)
}

// Open implements socket.Session.
func (l *link) Open() {}

// Close implements socket.Peer: reading has ended.
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

// Refuse implements socket.Session.
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

// Text implements socket.Session. What comes before there is a session may take its time.
func (l *link) Text(text []byte) (slow func()) {
	if s := l.owner(); s != nil {
		return s.handle(l.carrier, text)
	}
	return func() { l.greet(text) }
}

// greet takes a message while there is no session.
func (l *link) greet(text []byte) {
	r, ok := wire.Decode(text)
	var err *signal.Error
	switch l.tries++; {
	case !ok:
		err = signal.ErrBadMessage
	case r.Type != wire.Hello:
		err = signal.ErrNotSignedIn
	default:
		err = l.hello(&r)
	}
	if err == nil {
		return
	}
	l.handler.hub.Refuse(err)
	l.say(failure(&r, err))
	if l.tries >= maxHellos {
		l.orphan(signal.Unsaid)
	}
}

// hello makes the link a session's.
func (l *link) hello(r *wire.Request) *signal.Error {
	if r.V != wire.Version {
		return signal.ErrVersion
	}
	if r.Resume != "" {
		return l.resume(r)
	}
	ctx, cancel := context.WithTimeout(l.handler.hub.Context(), helloWait)
	defer cancel()
	s, welcome, err := l.handler.signIn(ctx, l.visitor, r, l.slot)
	if err != nil {
		return err
	}
	l.slot = nil
	l.adopt(s)
	if err := s.attach(l.carrier, 0, func() *wire.Message { return welcome }); err != nil {
		l.adopt(nil)
		return err
	}
	l.settle()
	return nil
}

func (l *link) resume(r *wire.Request) *signal.Error {
	s, ok := l.handler.find(r.Resume)
	if ok {
		l.adopt(s) // before anything is written that its client may answer
	}
	if _, err := l.handler.resume(l.carrier, r.Resume, r.Seq); err != nil {
		l.adopt(nil)
		return err
	}
	l.settle()
	l.slot() // the session has one
	l.slot = nil
	return nil
}

func (l *link) adopt(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session = s
}
