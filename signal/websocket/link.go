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
	large    = 16 << 10 // from how many bytes on a message is not for who reads for others
	maxReads = 8        // of one connection in a row

	// maxPieces is of how many fragments a message may consist: each costs as much as a small message, and is counted
	// against nothing.
	maxPieces = 4096
)

// link is the reader of one client. Its methods are called by one goroutine at a time: its own, or the poller's,
// which must not be kept waiting. So whatever may take its time is returned as a func to be run elsewhere, and
// nothing of the link is done meanwhile.
type link struct {
	host    *Host
	conn    *conn
	client  Peer
	session Session
	done    func()
	left    func()

	held     []byte // an incomplete frame
	message  []byte // an incomplete message's earlier fragments
	pieces   int    // how many
	op       byte   // its type; 0 if there is none
	deaf     bool   // what comes is no longer of interest
	over     bool   // nothing more is read
	stalling *time.Timer
}

// guard keeps a panic in one client's session from ending everybody's.
func (l *link) guard(do func()) {
	defer l.caught()
	do()
}

func (l *link) caught() {
	if p := recover(); p != nil {
		l.host.Logger.Error("client's session panicked",
			slog.String("client", l.client.ID().String()), slog.String("panic", fmt.Sprint(p)),
			slog.String("stack", string(debug.Stack())))
		l.deaf = true
		l.client.End(signal.Broken)
	}
}

// feed deals with bytes that have come. When something may take its time it returns that, and what is left of the
// bytes to be fed afterwards.
func (l *link) feed(data []byte) (slow func(), rest []byte) {
	defer l.caught()
	if len(data) > 0 {
		l.client.Seen() // a part of a message is a sign of life as well: a pong has to wait for the rest
	}
	work, owned := data, len(l.held) > 0
	if owned {
		l.held = append(l.held, data...)
		work, l.held = l.held, nil
	}
	for !l.deaf && !l.ended() {
		var whole bool
		if slow, work, whole = l.frame(work); slow != nil {
			return slow, work
		}
		if !whole {
			break
		}
	}
	if l.deaf || l.ended() {
		// Read on without listening, so that the close frame isn't lost to a reset that unread data would cause. That ends
		// when the other side closes, or when the connection is cut a second after the close frame.
		l.deaf, l.message = true, nil
		l.settle()
		return nil, nil
	}
	switch {
	case len(work) > 0 && owned:
		l.held = work
	case len(work) > 0:
		l.held = bytes.Clone(work)
	}
	l.watch()
	return nil, nil
}

// watch sees to it that what has begun to come is complete in time.
func (l *link) watch() {
	switch begun := len(l.held) > 0 || l.op != 0; {
	case begun && l.stalling == nil:
		l.stalling = time.AfterFunc(messageWait, func() { l.client.End(signal.Stalled) })
	case !begun:
		l.settle()
	}
}

func (l *link) settle() {
	if l.stalling != nil {
		l.stalling.Stop()
		l.stalling = nil
	}
}

// frame deals with the frame that work begins with, if it is there as a whole.
func (l *link) frame(work []byte) (slow func(), rest []byte, whole bool) {
	h, ok, err := parseHeader(work)
	if err == nil && !ok {
		return nil, work, false
	}
	if err == nil && !h.control() && (h.op == opContinuation) != (l.op != 0) {
		err = errSequence
	}
	if err != nil {
		return l.violation(err), nil, false
	}
	if limit := l.host.Hub.Limits().MaxMessage; !h.control() && int64(len(l.message)+h.body) > limit {
		return func() { l.reject(signal.ErrTooLarge, signal.TooLarge) }, nil, false
	}
	if len(work) < h.size+h.body {
		return nil, work, false
	}
	body := work[h.size : h.size+h.body]
	unmask(h.mask, body)
	rest = work[h.size+h.body:]
	if h.control() {
		return l.control(h.op, body), rest, true
	}
	if !h.final || l.op != 0 {
		if l.pieces++; l.pieces > maxPieces {
			return l.violation(errPieces), nil, false
		}
		l.message = append(l.message, body...)
		if h.op != opContinuation {
			l.op = h.op
		}
		if !h.final {
			return nil, rest, true
		}
		body, h.op = l.message, l.op
		l.message, l.op, l.pieces = nil, 0, 0
	}
	l.settle()
	return l.complete(h.op, body), rest, true
}

// complete deals with a message.
func (l *link) complete(op byte, message []byte) (slow func()) {
	wait, tooFast := l.client.Admit(len(message))
	if wait == 0 && len(message) < large {
		return l.deliver(op, message)
	}
	return l.later(op, message, wait, tooFast)
}

// later deals with a message that has to wait.
func (l *link) later(op byte, message []byte, wait time.Duration, tooFast bool) (slow func()) {
	return func() {
		l.pause(wait)
		if l.ended() {
			return
		}
		if tooFast {
			l.refuse(signal.ErrRateLimited)
		}
		if slow := l.deliver(op, message); slow != nil {
			slow()
		}
	}
}

func (l *link) deliver(op byte, message []byte) (slow func()) {
	switch {
	case op != opText:
		return func() { l.refuse(signal.ErrBinary) }
	case !utf8.Valid(message):
		return func() { l.reject(nil, signal.BadText) }
	default:
		return l.session.Text(message)
	}
}

// control deals with a control frame. Pings and pongs count against the client's rate.
func (l *link) control(op byte, body []byte) (slow func()) {
	if op == opClose {
		l.farewell(body)
		return nil
	}
	if op == opPing {
		l.conn.pong(body)
	}
	if wait, _ := l.client.Admit(0); wait > 0 {
		return func() { l.pause(wait) }
	}
	return nil
}

// farewell answers a close frame (RFC 6455 section 5.5.1) and ends reading.
func (l *link) farewell(body []byte) {
	if !goodClose(body) {
		l.violate(errCloseCode)
		return
	}
	l.deaf, l.over = true, true
	l.conn.last(body[:min(2, len(body))])
}

// violate ends a connection that doesn't keep to RFC 6455.
func (l *link) violate(err error) {
	l.deaf, l.over = true, true
	l.conn.last(closePayload(closeProtocolError, err.Error()))
}

func (l *link) violation(err error) (slow func()) { return func() { l.violate(err) } }

// reject tells the client of an error that is its last.
func (l *link) reject(e *signal.Error, why signal.Reason) {
	if e != nil {
		l.refuse(e)
	}
	l.client.End(why)
}

func (l *link) refuse(e *signal.Error) {
	l.host.Hub.Refuse(e)
	l.session.Refuse(e)
}

// pause waits, or until the client ends.
func (l *link) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.client.Done():
	}
}

func (l *link) ended() bool {
	select {
	case <-l.client.Done():
		return true
	default:
		return false
	}
}
