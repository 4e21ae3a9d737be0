package native

import (
	"context"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// greet takes a message while there is no session, and returns what of that has to wait for somebody.
func (l *link) greet(text []byte) (slow func()) {
	r, ok := wire.Decode(text)
	l.tries++
	switch {
	case !ok:
		return l.refusal(&r, signal.ErrBadMessage)
	case r.Type != wire.Hello:
		return l.refusal(&r, signal.ErrNotSignedIn)
	case r.V != wire.Version:
		return l.refusal(&r, signal.ErrVersion)
	case r.Resume != "":
		return func() { l.answer(&r, l.resume(&r)) }
	case r.Replace != "" || l.handler.hub.Limits().Access == signal.ByToken:
		return func() { l.answer(&r, l.hello(&r)) }
	}
	return l.helloNow(&r)
}

func (l *link) refusal(r *wire.Request, err *signal.Error) (slow func()) {
	return func() { l.answer(r, err) }
}

// answer tells the client why its hello was refused, if it was.
func (l *link) answer(r *wire.Request, err *signal.Error) {
	if err == nil {
		return
	}
	l.handler.hub.Refuse(err)
	l.say(failure(r, err))
	if l.tries >= maxHellos {
		l.orphan(signal.Unsaid)
	}
}

// hello makes the link a session's.
func (l *link) hello(r *wire.Request) *signal.Error {
	ctx, cancel := context.WithTimeout(l.handler.hub.Context(), helloWait)
	defer cancel()
	n, err := l.handler.connect(ctx, l.visitor, r)
	if err != nil {
		return err
	}
	return l.enter(ctx, n, l.attach(n))
}

// helloNow is hello as far as nothing has to be waited for. It returns the rest.
func (l *link) helloNow(r *wire.Request) (slow func()) {
	ctx := l.handler.hub.Context()
	n, err := l.handler.connect(ctx, l.visitor, r)
	if err != nil {
		return l.refusal(r, err)
	}
	named, refused := n.nameNow()
	switch {
	case refused != nil:
		return l.refusal(r, refused)
	case !named:
		return func() {
			ctx, cancel := context.WithTimeout(ctx, helloWait)
			defer cancel()
			l.answer(r, l.enter(ctx, n, l.attach(n)))
		}
	}
	if err := l.enter(ctx, n, func(welcome *wire.Message) (err *signal.Error) {
		slow, err = n.session.attachNow(l.carrier, welcome)
		return err
	}); err != nil {
		return l.refusal(r, err)
	}
	return slow
}

func (l *link) attach(n newcomer) func(*wire.Message) *signal.Error {
	return func(welcome *wire.Message) *signal.Error {
		return n.session.attach(l.carrier, 0, func() *wire.Message { return welcome })
	}
}

// enter makes the link the first transport of a session, by attach.
func (l *link) enter(ctx context.Context, n newcomer, attach func(welcome *wire.Message) *signal.Error) *signal.Error {
	welcome, err := l.handler.enter(ctx, n, l.slot)
	if err != nil {
		return err
	}
	l.slot = nil
	l.adopt(n.session)
	if err := attach(welcome); err != nil {
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
