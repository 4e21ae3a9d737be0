package native

import (
	"sync"
	"sync/atomic"
	"time"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// transport is what carries a session's frames for a while.
type transport interface {
	signal.Prompt
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

	pacing sync.Mutex   // held while a message is admitted
	posts  atomic.Int32 // that are being served

	// The requests come one at a time, whatever they come on.
	reading  sync.Mutex
	received atomic.Uint64 // the highest number of the client's messages
	unacked  int           // numbered messages since the last ack

	// The frames go out in order, and by one writer. Taken before mu.
	writing turn
	begun   []byte    // what TryWrite has numbered and Write has to finish
	begunOn transport // nil if nothing of it has been written

	mu        sync.Mutex
	transport transport // nil while there is none
	kept      ring
	loan      signal.Loan // for what is kept
	confirmed bool        // the client has said something since its hello
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

func (t turn) tryLock() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

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

// admit counts a message, as websocket.Peer's Admit.
func (s *session) admit(size int) (wait time.Duration, tooFast bool) {
	s.pacing.Lock()
	defer s.pacing.Unlock()
	return s.client.Admit(size)
}

func (s *session) silence() time.Duration { return time.Since(time.UnixMilli(s.heard.Load())) }

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
