package websocket

import (
	"bytes"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
	"unicode/utf8"

	"icebox/signal"
)

const (
	// Messages of inlineReadMax bytes or more are handled by a goroutine, because the poller would delay other connections.
	inlineReadMax = 16 << 10

	// maxReads limits how often the poller reads one connection before others have their turn.
	maxReads = 8

	// maxFragments limits the fragments of one message. A fragment costs as much CPU time as a small message, but only the
	// complete message counts against the client's rate.
	maxFragments = 4096
)

// reader decodes the frames of one connection and passes its messages to the handler.
//
// One goroutine at a time calls its methods. That is a goroutine of its own or the poller's, which must not block. So a
// method with a result named slow returns the rest of its work as a func if that work can block; slow is nil if the work is
// done. The caller runs slow in a goroutine that may block, and calls no other method until slow has returned.
type reader struct {
	host    *Host
	conn    *conn
	peer    Peer
	handler MessageHandler
	done    func() // the func that was passed to Service.Serve
	untrack func() // allows the hub's Shutdown to return

	partialFrame  []byte // the beginning of a frame that is incomplete
	fragments     []byte // the payload so far of a message whose final fragment is missing
	fragmentCount int    // of that message
	messageOp     byte   // opText or opBinary: the type of that message; 0 if there is none
	discarding    bool   // received bytes are ignored from now on
	readDone      bool   // the connection is not read any more

	stallTimer *time.Timer // ends the client if a frame or message stays incomplete; nil if there is none
}

// runRecovered calls do. A panic in do ends this client only, not the whole process.
func (r *reader) runRecovered(do func()) {
	defer r.recoverPanic()
	do()
}

// recoverPanic has to be deferred. It logs a panic and ends the client.
func (r *reader) recoverPanic() {
	if p := recover(); p != nil {
		r.host.Logger.Error("client handler panicked",
			slog.String("client", r.peer.ID().String()), slog.String("panic", fmt.Sprint(p)),
			slog.String("stack", string(debug.Stack())))
		r.discarding = true
		r.peer.End(signal.InternalError)
	}
}

// feed decodes received bytes. If slow is not nil, the caller has to run it and then feed rest, which may be a part of data.
func (r *reader) feed(data []byte) (slow func(), rest []byte) {
	defer r.recoverPanic()
	if len(data) > 0 {
		r.peer.Seen() // part of a frame counts too, because the client cannot send a pong before the rest of the frame
	}
	input, owned := data, len(r.partialFrame) > 0 // owned: input does not share memory with data, which the caller reuses
	if owned {
		r.partialFrame = append(r.partialFrame, data...)
		input, r.partialFrame = r.partialFrame, nil
	}
	for !r.discarding && !r.ended() {
		var complete bool
		if slow, input, complete = r.handleFrame(input); slow != nil {
			return slow, input
		}
		if !complete {
			break
		}
	}
	if r.discarding || r.ended() {
		// The reader still reads the connection, but ignores the bytes. If it closed the connection while bytes are unread,
		// the kernel would send a reset, and the client might lose the close frame. Reading ends when the client closes the
		// connection, or when conn.linger cuts it.
		r.discarding, r.fragments = true, nil
		r.stopStallTimer()
		return nil, nil
	}
	switch {
	case len(input) > 0 && owned:
		r.partialFrame = input
	case len(input) > 0:
		r.partialFrame = bytes.Clone(input)
	}
	r.updateStallTimer()
	return nil, nil
}

// updateStallTimer starts the timer if a frame or message is incomplete, and stops it otherwise.
func (r *reader) updateStallTimer() {
	switch begun := len(r.partialFrame) > 0 || r.messageOp != 0; {
	case begun && r.stallTimer == nil:
		r.stallTimer = time.AfterFunc(messageWait, func() { r.peer.End(signal.Stalled) })
	case !begun:
		r.stopStallTimer()
	}
}

func (r *reader) stopStallTimer() {
	if r.stallTimer != nil {
		r.stallTimer.Stop()
		r.stallTimer = nil
	}
}

// handleFrame handles the frame at the start of input, and returns the input behind it. If the frame is incomplete,
// complete is false and rest is input. complete is also false if the connection has to end; slow then ends it.
func (r *reader) handleFrame(input []byte) (slow func(), rest []byte, complete bool) {
	h, ok, err := parseHeader(input)
	if err == nil && !ok {
		return nil, input, false
	}
	if err == nil && !h.control() && (h.op == opContinuation) != (r.messageOp != 0) {
		err = errSequence
	}
	if err != nil {
		return r.failProtocolLater(err), nil, false
	}
	if limit := r.host.Hub.Limits().MaxMessage; !h.control() && int64(len(r.fragments)+h.payloadLen) > limit {
		return func() { r.rejectMessage(signal.ErrTooLarge, signal.TooLarge) }, nil, false
	}
	if len(input) < h.headerLen+h.payloadLen {
		return nil, input, false
	}
	body := input[h.headerLen : h.headerLen+h.payloadLen]
	unmask(h.mask, body)
	rest = input[h.headerLen+h.payloadLen:]
	if h.control() {
		return r.handleControl(h.op, body), rest, true
	}
	if !h.final || r.messageOp != 0 {
		if r.fragmentCount++; r.fragmentCount > maxFragments {
			return r.failProtocolLater(errFragments), nil, false
		}
		r.fragments = append(r.fragments, body...)
		if h.op != opContinuation {
			r.messageOp = h.op
		}
		if !h.final {
			return nil, rest, true
		}
		body, h.op = r.fragments, r.messageOp
		r.fragments, r.messageOp, r.fragmentCount = nil, 0, 0
	}
	r.stopStallTimer()
	return r.handleMessage(h.op, body), rest, true
}

// handleMessage counts a complete message against the client's rate and delivers it.
func (r *reader) handleMessage(op byte, message []byte) (slow func()) {
	wait, tooFast := r.peer.CountMessage(len(message))
	if wait == 0 && len(message) < inlineReadMax {
		return r.deliver(op, message)
	}
	return r.deliverLater(op, message, wait, tooFast)
}

// deliverLater returns a func that sleeps for wait, tells the client if it sends too fast, and delivers the message.
func (r *reader) deliverLater(op byte, message []byte, wait time.Duration, tooFast bool) (slow func()) {
	return func() {
		r.sleep(wait)
		if r.ended() {
			return
		}
		if tooFast {
			r.sendError(signal.ErrRateLimited)
		}
		if slow := r.deliver(op, message); slow != nil {
			slow()
		}
	}
}

// deliver passes a text message to the handler. It rejects binary messages and invalid UTF-8.
func (r *reader) deliver(op byte, message []byte) (slow func()) {
	switch {
	case op != opText:
		return func() { r.sendError(signal.ErrBinary) }
	case !utf8.Valid(message):
		return func() { r.rejectMessage(nil, signal.BadText) }
	default:
		return r.handler.HandleText(message)
	}
}

// handleControl handles a control frame. Pings and pongs count against the client's rate.
func (r *reader) handleControl(op byte, body []byte) (slow func()) {
	if op == opClose {
		r.handleClose(body)
		return nil
	}
	if op == opPing {
		r.conn.sendPong(body)
	}
	if wait, _ := r.peer.CountMessage(0); wait > 0 {
		return func() { r.sleep(wait) }
	}
	return nil
}

// handleClose responds to a close frame with the same code (RFC 6455 section 5.5.1) and ends reading.
func (r *reader) handleClose(body []byte) {
	if !validClosePayload(body) {
		r.failProtocol(errCloseCode)
		return
	}
	r.discarding, r.readDone = true, true
	r.conn.sendClose(body[:min(2, len(body))])
}

// failProtocol ends a connection whose client has violated RFC 6455 (section 7.1.7).
func (r *reader) failProtocol(err error) {
	r.discarding, r.readDone = true, true
	r.conn.sendClose(closePayload(closeProtocolError, err.Error()))
}

func (r *reader) failProtocolLater(err error) (slow func()) { return func() { r.failProtocol(err) } }

// rejectMessage ends the client because of a message. It sends e first, if there is one.
func (r *reader) rejectMessage(e *signal.Error, why signal.Reason) {
	if e != nil {
		r.sendError(e)
	}
	r.peer.End(why)
}

// sendError counts a refusal and tells the client about it.
func (r *reader) sendError(e *signal.Error) {
	r.host.Hub.CountRefusal(e)
	r.handler.SendError(e)
}

// sleep blocks for d, or until the client ends.
func (r *reader) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.peer.Done():
	}
}

// ended reports whether the client has ended, so that its messages must be ignored.
func (r *reader) ended() bool {
	select {
	case <-r.peer.Done():
		return true
	default:
		return false
	}
}
