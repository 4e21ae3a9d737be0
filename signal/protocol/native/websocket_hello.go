package native

import (
	"context"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// handleHello takes a message while there is no session, and returns what of that has to wait for somebody.
func (w *webSocket) handleHello(text []byte) (slow func()) {
	r, ok := wire.Decode(text)
	w.helloCount++
	switch {
	case !ok:
		return w.sendHelloErrorLater(&r, signal.ErrBadMessage)
	case r.Type != wire.Hello:
		return w.sendHelloErrorLater(&r, signal.ErrNotSignedIn)
	case r.V != wire.Version:
		return w.sendHelloErrorLater(&r, signal.ErrVersion)
	case r.Resume != "":
		return func() { w.sendHelloError(&r, w.resume(&r)) }
	case r.Replace != "" || w.handler.hub.Limits().Access == signal.ByToken:
		return func() { w.sendHelloError(&r, w.signIn(&r)) }
	}
	return w.signInInline(&r)
}

func (w *webSocket) sendHelloErrorLater(r *wire.Request, err *signal.Error) (slow func()) {
	return func() { w.sendHelloError(r, err) }
}

// sendHelloError tells the client why its hello was refused, if it was.
func (w *webSocket) sendHelloError(r *wire.Request, err *signal.Error) {
	if err == nil {
		return
	}
	w.handler.hub.CountRefusal(err)
	w.writeDirect(errorMessage(r, err))
	if w.helloCount >= maxHellos {
		w.closePending(signal.SignInTimeout)
	}
}

// signIn makes the WebSocket a session's.
func (w *webSocket) signIn(r *wire.Request) *signal.Error {
	ctx, cancel := context.WithTimeout(w.handler.hub.DoneContext(), helloWait)
	defer cancel()
	n, err := w.handler.connectClient(ctx, w.visitor, r)
	if err != nil {
		return err
	}
	return w.startSession(ctx, n, w.attach(n))
}

// signInInline is hello as far as nothing has to be waited for. It returns the rest.
func (w *webSocket) signInInline(r *wire.Request) (slow func()) {
	ctx := w.handler.hub.DoneContext()
	n, err := w.handler.connectClient(ctx, w.visitor, r)
	if err != nil {
		return w.sendHelloErrorLater(r, err)
	}
	named, refused := n.claimNameInline()
	switch {
	case refused != nil:
		return w.sendHelloErrorLater(r, refused)
	case !named:
		return func() {
			ctx, cancel := context.WithTimeout(ctx, helloWait)
			defer cancel()
			w.sendHelloError(r, w.startSession(ctx, n, w.attach(n)))
		}
	}
	if err := w.startSession(ctx, n, func(welcome *wire.Message) (err *signal.Error) {
		slow, err = n.session.attachInline(w.wsTransport, welcome)
		return err
	}); err != nil {
		return w.sendHelloErrorLater(r, err)
	}
	return slow
}

func (w *webSocket) attach(n newcomer) func(*wire.Message) *signal.Error {
	return func(welcome *wire.Message) *signal.Error {
		return n.session.attach(w.wsTransport, 0, func() *wire.Message { return welcome })
	}
}

// startSession makes the WebSocket the first transport of a session, by attach.
func (w *webSocket) startSession(ctx context.Context, n newcomer, attach func(welcome *wire.Message) *signal.Error) *signal.Error {
	welcome, err := w.handler.signInSession(ctx, n, w.releaseConn)
	if err != nil {
		return err
	}
	w.releaseConn = nil
	w.setSession(n.session)
	if err := attach(welcome); err != nil {
		w.setSession(nil)
		return err
	}
	w.stopPending()
	return nil
}

func (w *webSocket) resume(r *wire.Request) *signal.Error {
	s, ok := w.handler.findSession(r.Resume)
	if ok {
		w.setSession(s) // before anything is written that its client may answer
	}
	if _, err := w.handler.resume(w.wsTransport, r.Resume, r.Seq); err != nil {
		w.setSession(nil)
		return err
	}
	w.stopPending()
	w.releaseConn() // the session has one
	w.releaseConn = nil
	return nil
}
