package native

import (
	"sync"
	"sync/atomic"
	"time"

	"icebox/signal"
	"icebox/signal/native/wire"
)

// transport is what carries a session's frames for a while.
type transport interface {
	signal.Conn
	// Answers reports whether pings are answered. Where they are not, a write that succeeds is a sign of life.
	Answers() bool
}

// session is one client in this protocol. To the hub it is the client's connection, which never breaks: its
// transports come and go, and what is written while there is none is kept.
//
// It is over when the hub closes it, and everybody who wants its end asks the hub for that (Client.End).
type session struct {
	handler *Handler
	client  *signal.Client
	slot    func()        // gives back what the session counts for at the gateway
	ended   chan struct{} // closed when nothing of it is left
	heard   atomic.Int64  // Unix milliseconds of the last sign of life on any transport

	// The requests come one at a time, whatever they come on.
	reading  sync.Mutex
	received atomic.Uint64 // the highest number of the client's messages
	unacked  int           // numbered messages since the last ack

	// The frames go out in order, and by one writer. Taken before mu.
	writing turn

	mu        sync.Mutex
	transport transport // nil while there is none
	kept      ring
	confirmed bool // the client has said something since its hello
	over      bool
	probing   *time.Timer
	lapse     *time.Timer // ends a session without transport
	expiry    *time.Timer // ends it with its token

	// When fresh ICE servers are due, of the session's own and of its calls'.
	freshICE   *time.Timer
	freshCalls map[string]*time.Timer

	grant signal.Grant
}

func newSession(h *Handler, slot func()) *session {
	s := &session{handler: h, writing: make(turn, 1), slot: slot, ended: make(chan struct{})}
	s.hear()
	h.metrics.detached.Inc()
	return s
}

// turn is a lock that one can get tired of waiting for.
type turn chan struct{}

func (t turn) Lock() { t <- struct{}{} }

func (t turn) Unlock() { <-t }

func (t turn) lockWithin(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case t <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

// confirm notes that the client has said something, so that its session is worth waiting for.
func (s *session) confirm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confirmed = true
}

// carriedBy reports whether t is the session's present transport.
func (s *session) carriedBy(t transport) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transport == t && !s.over
}

// Bind implements signal.Resumable.
func (s *session) Bind(c *signal.Client) { s.client = c }

// unnumbered marks a frame that is worth nothing on another transport.
const unnumbered = 0

// tell queues a message for the client.
func (s *session) tell(m *wire.Message) { s.client.Send(m.Encode()) }

// tellNow queues a message that is not numbered: it is lost with the transport.
func (s *session) tellNow(m *wire.Message) {
	s.client.Send(append([]byte{unnumbered}, m.Encode()...))
}

// Write implements signal.Conn. The hub calls it for one frame at a time.
func (s *session) Write(frame []byte, deadline time.Time) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	t, full := s.transport, false
	if frame[0] == unnumbered {
		frame = frame[1:]
	} else {
		frame = wire.Numbered(frame, s.kept.next())
		s.kept.push(frame)
		l := s.handler.hub.Limits()
		full = s.kept.trim(l.ResumeMessages, l.ResumeBytes) && t == nil
	}
	s.mu.Unlock()
	switch {
	case full:
		s.client.End(signal.Overflowed)
	case t == nil:
	case t.Write(frame, deadline) != nil:
		s.lose(t)
	default:
		s.wrote(t)
	}
	return nil
}

// wrote asks for a sign of life if there hasn't been one for a while.
func (s *session) wrote(t transport) {
	if !t.Answers() {
		s.live()
		return
	}
	since := s.silence()
	if since < quiet {
		return
	}
	s.mu.Lock()
	first := s.probing == nil && s.transport == t
	if first {
		asked := time.Now().UnixMilli()
		s.probing = time.AfterFunc(answer, func() { s.probed(t, asked) })
	}
	s.mu.Unlock()
	if first && t.Ping(time.Now().Add(answer)) != nil {
		s.lose(t)
	}
}

// probed gives a transport up that hasn't been heard since it was asked.
func (s *session) probed(t transport, asked int64) {
	s.mu.Lock()
	s.probing = nil
	present := s.transport == t
	s.mu.Unlock()
	if present && s.heard.Load() < asked {
		s.lose(t)
	}
}

func (s *session) hear() { s.heard.Store(time.Now().UnixMilli()) }

// live notes a sign of life.
func (s *session) live() {
	s.hear()
	s.client.Seen()
}

// admit waits until the client may send so much, and reports whether to tell it that it is too fast.
func (s *session) admit(size int) (tooFast bool) {
	s.reading.Lock()
	defer s.reading.Unlock()
	return s.client.Admit(size)
}

func (s *session) silence() time.Duration { return time.Since(time.UnixMilli(s.heard.Load())) }

// Ping implements signal.Conn. Who has no transport is taken for alive until its time has passed.
func (s *session) Ping(deadline time.Time) error {
	s.mu.Lock()
	t := s.transport
	s.mu.Unlock()
	if t == nil {
		s.client.Seen()
		return nil
	}
	s.writing.Lock()
	err := t.Ping(deadline)
	s.writing.Unlock()
	if err != nil {
		s.lose(t)
	} else if !t.Answers() {
		s.live()
	}
	return nil
}

// Silent implements signal.Resumable.
func (s *session) Silent() bool {
	s.mu.Lock()
	t, stays := s.transport, s.confirmed && !s.over
	s.mu.Unlock()
	if t != nil {
		s.lose(t)
	}
	s.client.Seen()
	return stays
}

// lose does without a transport from now on.
func (s *session) lose(t transport) {
	t.Abort()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport != t || s.over {
		return
	}
	s.transport = nil
	s.handler.metrics.detached.Inc()
	if s.confirmed {
		s.wait()
	} else {
		s.client.End(signal.Gone)
	}
}

// wait gives the client its time to come back. The caller holds mu.
func (s *session) wait() {
	s.lapse = time.AfterFunc(s.handler.hub.Limits().ResumeWithin, func() {
		s.mu.Lock()
		gone := s.transport == nil
		s.mu.Unlock()
		if gone {
			s.client.End(signal.Lapsed)
		}
	})
}

// Abort implements signal.Conn.
func (s *session) Abort() {
	s.mu.Lock()
	t, over := s.transport, s.over
	s.mu.Unlock()
	if t == nil || over && s.handler.hub.Context().Err() == nil {
		return // a transport that was closed with a goodbye lingers for a second at most
	}
	t.Abort()
}
