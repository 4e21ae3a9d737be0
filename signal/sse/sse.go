// Package sse makes an HTTP response with server-sent events (HTML standard, section 9.2) a [signal.Conn]. A [Stream] does
// not format events: the caller writes one or more complete events, in the format of its protocol.
//
// The HTTP handler creates the stream, calls [Stream.Start], blocks in [Stream.Wait] while the stream lasts, and calls
// [Stream.Finish] before it returns, because a response must not be used after its handler has returned.
package sse

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"icebox/signal"
)

// keepAlive is a comment line. Proxies and clients close a stream on which nothing arrives for too long.
var keepAlive = []byte(": \n\n")

// finishWait limits how long the HTTP server may take to write the end of the response after Finish.
const finishWait = 5 * time.Second

var errEnded = errors.New("event stream has ended")

// Stream implements [signal.Conn]. Its methods are safe for concurrent use after Start has returned.
type Stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController

	once sync.Once
	done chan struct{}

	writing sync.Mutex // held during a write; locked before mu

	mu       sync.Mutex
	finished bool // Finish has returned or is about to: the response must not be used
}

// New returns a stream that writes to w. Nothing has been written to w yet.
func New(w http.ResponseWriter) *Stream {
	return &Stream{w: w, rc: http.NewResponseController(w), done: make(chan struct{})}
}

// Start sets the response header with status 200; the first write sends it. Start also removes the read deadline that the
// HTTP server has set. A write has a deadline of its own.
func (s *Stream) Start() {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h.Set("X-Content-Type-Options", "nosniff")
	s.w.WriteHeader(http.StatusOK)
	// If this fails, the stream ends at the server's read deadline, and the client opens a new one.
	_ = s.rc.SetReadDeadline(time.Time{})
}

// Write implements [signal.Conn]. It writes complete events and sends them at once. It fails after Close, Abort or Finish,
// and if the response does not support write deadlines.
func (s *Stream) Write(events []byte, deadline time.Time) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	select {
	case <-s.done:
		return errEnded
	default:
	}
	if err := s.rc.SetWriteDeadline(deadline); err != nil {
		return err
	}
	if _, err := s.w.Write(events); err != nil {
		return err
	}
	err := s.rc.Flush()
	_ = s.rc.SetWriteDeadline(time.Time{}) // without this, HTTP/2 would reset the stream at the deadline, even if nothing is being written then
	return err
}

// Ping implements [signal.Conn]. It writes a comment, which clients ignore, so there is no reply.
func (s *Stream) Ping(deadline time.Time) error { return s.Write(keepAlive, deadline) }

// Close implements [signal.Conn]. It ignores the reason, because an event stream cannot carry one and a browser's
// EventSource reconnects in any case.
func (s *Stream) Close(signal.Reason) { s.end() }

// Abort implements [signal.Conn]. A write in another goroutine fails at once.
func (s *Stream) Abort() {
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.finished {
		_ = s.rc.SetWriteDeadline(time.Unix(1, 0)) // unblocks a write
	}
}

func (s *Stream) end() { s.once.Do(func() { close(s.done) }) }

// Done returns a channel that is closed by the first call of Close, Abort or Finish.
func (s *Stream) Done() <-chan struct{} { return s.done }

// Wait blocks until the stream has ended, or until the request's context is done.
func (s *Stream) Wait(request context.Context) {
	select {
	case <-request.Done():
	case <-s.done:
	}
}

// Finish ends the stream. After it returns, no method of the stream uses the response.
func (s *Stream) Finish() {
	s.end()
	if !s.writing.TryLock() { // end prevents further writes, but a write in another goroutine may block until its deadline
		s.Abort()
		s.writing.Lock()
	}
	defer s.writing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
	_ = s.rc.SetWriteDeadline(time.Now().Add(finishWait))
}
