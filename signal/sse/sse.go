// Package sse is a response of server-sent events (the HTML standard, section 9.2) as the core's Conn. A [Stream] knows no protocol: what
// is written to it is one or more whole events.
//
// The handler that makes a stream stays in it ([Stream.Wait]) for as long as it lasts, and calls [Stream.Leave] before it returns:
// nobody may touch a response afterwards.
package sse

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"icebox/signal"
)

// comment is what keeps proxies and clients from taking a stream without events for dead.
var comment = []byte(": \n\n")

// lastWrite is how long a response may take to say that it has ended.
const lastWrite = 5 * time.Second

var errEnded = errors.New("the event stream is over")

// Stream implements signal.Conn. Any goroutine may call its methods.
type Stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController

	once sync.Once
	done chan struct{}

	writing sync.Mutex // held while writing

	mu       sync.Mutex
	finished bool // the response must not be touched any more
}

// New makes a stream of a response to which nothing has been written.
func New(w http.ResponseWriter) *Stream {
	return &Stream{w: w, rc: http.NewResponseController(w), done: make(chan struct{})}
}

// Start sends the header. The connection's own deadlines are lifted; every write has one.
func (s *Stream) Start() {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h.Set("X-Content-Type-Options", "nosniff")
	s.w.WriteHeader(http.StatusOK)
	_ = s.rc.SetReadDeadline(time.Time{}) // where it can't be lifted the client opens another stream in time
}

// Write implements signal.Conn.
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
	_ = s.rc.SetWriteDeadline(time.Time{}) // HTTP/2 ends a stream at its deadline, whether somebody writes or not
	return err
}

// Ping implements signal.Conn. Nothing answers it.
func (s *Stream) Ping(deadline time.Time) error { return s.Write(comment, deadline) }

// Close implements signal.Conn. Clients open another stream, whatever the reason.
func (s *Stream) Close(signal.Reason) { s.end() }

// Abort implements signal.Conn.
func (s *Stream) Abort() {
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.finished {
		_ = s.rc.SetWriteDeadline(time.Unix(1, 0)) // frees who is writing
	}
}

func (s *Stream) end() { s.once.Do(func() { close(s.done) }) }

// Done is closed when the stream ends.
func (s *Stream) Done() <-chan struct{} { return s.done }

// Wait returns when the stream is over, or its request is.
func (s *Stream) Wait(request context.Context) {
	select {
	case <-request.Done():
	case <-s.done:
	}
}

// Finish ends the stream, and returns when nobody uses the response any more.
func (s *Stream) Finish() {
	s.end()
	if !s.writing.TryLock() { // nobody writes after the end, but who is writing may not be waited for
		s.Abort()
		s.writing.Lock()
	}
	defer s.writing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
	_ = s.rc.SetWriteDeadline(time.Now().Add(lastWrite))
}
