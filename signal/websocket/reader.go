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
	inlineReadMax = 16 << 10 // from how many bytes on a message is not for who reads for others
	maxReads      = 8        // of one connection in a row

	// maxFragments is of how many fragments a message may consist: each costs as much as a small message, and is counted
	// against nothing.
	maxFragments = 4096
)

// reader is the reader of one client. Its methods are called by one goroutine at a time: its own, or the poller's,
// which must not be kept waiting. So whatever may take its time is returned as a func to be run elsewhere, and
// nothing of the reader is done meanwhile.
type reader struct {
	host    *Host
	conn    *conn
	peer    Peer
	handler MessageHandler
	done    func()
	untrack func()

	partialFrame  []byte // an incomplete frame
	fragments     []byte // an incomplete message's earlier fragments
	fragmentCount int    // how many
	messageOp     byte   // its type; 0 if there is none
	discarding    bool   // what comes is no longer of interest
	readDone      bool   // nothing more is read
	stallTimer    *time.Timer
}

// runRecovered keeps a panic in one client's handler from ending everybody's.
func (r *reader) runRecovered(do func()) {
	defer r.recoverPanic()
	do()
}

func (r *reader) recoverPanic() {
	if p := recover(); p != nil {
		r.host.Logger.Error("client's session panicked",
			slog.String("client", r.peer.ID().String()), slog.String("panic", fmt.Sprint(p)),
			slog.String("stack", string(debug.Stack())))
		r.discarding = true
		r.peer.End(signal.InternalError)
	}
}

// feed deals with bytes that have come. When something may take its time it returns that, and what is left of the
// bytes to be fed afterwards.
func (r *reader) feed(data []byte) (slow func(), rest []byte) {
	defer r.recoverPanic()
	if len(data) > 0 {
		r.peer.Seen() // a part of a message is a sign of life as well: a pong has to wait for the rest
	}
	work, owned := data, len(r.partialFrame) > 0
	if owned {
		r.partialFrame = append(r.partialFrame, data...)
		work, r.partialFrame = r.partialFrame, nil
	}
	for !r.discarding && !r.ended() {
		var whole bool
		if slow, work, whole = r.handleFrame(work); slow != nil {
			return slow, work
		}
		if !whole {
			break
		}
	}
	if r.discarding || r.ended() {
		// Read on without listening, so that the close frame isn't lost to a reset that unread data would cause. That ends
		// when the other side closes, or when the connection is cut a second after the close frame.
		r.discarding, r.fragments = true, nil
		r.stopStallTimer()
		return nil, nil
	}
	switch {
	case len(work) > 0 && owned:
		r.partialFrame = work
	case len(work) > 0:
		r.partialFrame = bytes.Clone(work)
	}
	r.updateStallTimer()
	return nil, nil
}

// updateStallTimer sees to it that what has begun to come is complete in time.
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

// handleFrame deals with the frame that work begins with, if it is there as a whole.
func (r *reader) handleFrame(work []byte) (slow func(), rest []byte, whole bool) {
	h, ok, err := parseHeader(work)
	if err == nil && !ok {
		return nil, work, false
	}
	if err == nil && !h.control() && (h.op == opContinuation) != (r.messageOp != 0) {
		err = errSequence
	}
	if err != nil {
		return r.failProtocolLater(err), nil, false
	}
	if limit := r.host.Hub.Limits().MaxMessage; !h.control() && int64(len(r.fragments)+h.body) > limit {
		return func() { r.rejectMessage(signal.ErrTooLarge, signal.TooLarge) }, nil, false
	}
	if len(work) < h.size+h.body {
		return nil, work, false
	}
	body := work[h.size : h.size+h.body]
	unmask(h.mask, body)
	rest = work[h.size+h.body:]
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

// handleMessage deals with a message.
func (r *reader) handleMessage(op byte, message []byte) (slow func()) {
	wait, tooFast := r.peer.CountMessage(len(message))
	if wait == 0 && len(message) < inlineReadMax {
		return r.deliver(op, message)
	}
	return r.deliverLater(op, message, wait, tooFast)
}

// deliverLater deals with a message that has to wait.
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

// handleControl deals with a control frame. Pings and pongs count against the client's rate.
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

// handleClose answers a close frame (RFC 6455 section 5.5.1) and ends reading.
func (r *reader) handleClose(body []byte) {
	if !goodClose(body) {
		r.failProtocol(errCloseCode)
		return
	}
	r.discarding, r.readDone = true, true
	r.conn.sendClose(body[:min(2, len(body))])
}

// failProtocol ends a connection that doesn't keep to RFC 6455.
func (r *reader) failProtocol(err error) {
	r.discarding, r.readDone = true, true
	r.conn.sendClose(closePayload(closeProtocolError, err.Error()))
}

func (r *reader) failProtocolLater(err error) (slow func()) { return func() { r.failProtocol(err) } }

// rejectMessage tells the client of an error that is its last.
func (r *reader) rejectMessage(e *signal.Error, why signal.Reason) {
	if e != nil {
		r.sendError(e)
	}
	r.peer.End(why)
}

func (r *reader) sendError(e *signal.Error) {
	r.host.Hub.CountRefusal(e)
	r.handler.SendError(e)
}

// sleep waits, or until the client ends.
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

func (r *reader) ended() bool {
	select {
	case <-r.peer.Done():
		return true
	default:
		return false
	}
}
