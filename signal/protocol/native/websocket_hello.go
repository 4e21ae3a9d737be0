package native

import (
	"context"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// handleHello handles a message on a pending WebSocket, which should be a hello. The part of the work that may block is
// returned as slow, because the caller may be the goroutine that polls all WebSockets.
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

// sendHelloErrorLater returns a function that calls sendHelloError, because writing to the WebSocket may block.
func (w *webSocket) sendHelloErrorLater(r *wire.Request, err *signal.Error) (slow func()) {
	return func() { w.sendHelloError(r, err) }
}

// sendHelloError tells the client that its hello was refused, and closes the WebSocket after maxHellos refusals. It does
// nothing if err is nil.
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

// signIn begins a session on the WebSocket. It may block.
func (w *webSocket) signIn(r *wire.Request) *signal.Error {
	ctx, cancel := context.WithTimeout(w.handler.hub.DoneContext(), helloWait)
	defer cancel()
	n, err := w.handler.connectClient(ctx, w.visitor, r)
	if err != nil {
		return err
	}
	return w.startSession(ctx, n, w.attach(n))
}

// signInInline is signIn for a goroutine that must not block. It returns the rest of the work if that may block.
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

// attach returns a function that makes the WebSocket the transport of n's session and writes the welcome. It may block.
func (w *webSocket) attach(n newcomer) func(*wire.Message) *signal.Error {
	return func(welcome *wire.Message) *signal.Error {
		return n.session.attach(w.wsTransport, 0, func() *wire.Message { return welcome })
	}
}

// startSession completes the sign-in of n and calls attach, which makes the WebSocket the transport of n's session.
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

// resume makes the WebSocket the transport of the session that r resumes. It may block.
func (w *webSocket) resume(r *wire.Request) *signal.Error {
	s, ok := w.handler.findSession(r.Resume)
	if ok {
		w.setSession(s) // before handler.resume, because the client can send as soon as it has received the resumed message
	}
	if _, err := w.handler.resume(w.wsTransport, r.Resume, r.Seq); err != nil {
		w.setSession(nil)
		return err
	}
	w.stopPending()
	w.releaseConn() // this connection is not counted, because the one on which the session began still is
	w.releaseConn = nil
	return nil
}
