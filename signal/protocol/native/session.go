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
	signal.NonblockingConn
	// AnswersPings reports whether pings are answered. Where they are not, a write that succeeds is a sign of life.
	AnswersPings() bool
}

// session is one client in this protocol. To the hub it is the client's connection, which never breaks: its
// transports come and go, and what is written while there is none is kept.
//
// It is over when the hub closes it, and everybody who wants its end asks the hub for that (Client.End).
type session struct {
	handler     *Handler
	client      *signal.Client
	releaseConn func()        // gives back what the session counts for at the gateway
	finished    chan struct{} // closed when nothing of it is left
	lastSeen    atomic.Int64  // Unix milliseconds of the last sign of life on any transport

	rateMu      sync.Mutex   // held while a message is admitted
	activePosts atomic.Int32 // that are being served

	// The requests come one at a time, whatever they come on.
	requestMu sync.Mutex
	received  atomic.Uint64 // the highest number of the client's messages
	sinceAck  int           // numbered messages since the last ack

	// The frames go out in order, and by one writer. Taken before mu.
	writeMu      timedMutex
	partialFrame []byte    // what TryWrite has numbered and Write has to finish
	partialOn    transport // nil if nothing of it has been written

	mu          sync.Mutex
	transport   transport // nil while there is none
	replay      replayBuffer
	loan        signal.Loan // for what is kept
	confirmed   bool        // the client has said something since its hello
	closed      bool
	probeTimer  *time.Timer
	resumeTimer *time.Timer // ends a session without transport
	tokenTimer  *time.Timer // ends it with its token

	// When fresh ICE servers are due, of the session's own and of its calls'.
	iceTimer      *time.Timer
	callICETimers map[string]*time.Timer

	grant signal.Grant
}

func newSession(h *Handler, releaseConn func()) *session {
	s := &session{handler: h, writeMu: make(timedMutex, 1), releaseConn: releaseConn, finished: make(chan struct{})}
	s.markSeen()
	h.metrics.detached.Inc()
	return s
}

// timedMutex is a lock that one can get tired of waiting for.
type timedMutex chan struct{}

func (m timedMutex) Lock() { m <- struct{}{} }

func (m timedMutex) Unlock() { <-m }

func (m timedMutex) tryLock() bool {
	select {
	case m <- struct{}{}:
		return true
	default:
		return false
	}
}

func (m timedMutex) tryLockFor(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case m <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

// markConfirmed notes that the client has said something, so that its session is worth waiting for.
func (s *session) markConfirmed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confirmed = true
}

// isTransport reports whether t is the session's present transport.
func (s *session) isTransport(t transport) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transport == t && !s.closed
}

// Bind implements signal.Resumable.
func (s *session) Bind(c *signal.Client) { s.client = c }

// unnumbered marks a frame that is worth nothing on another transport.
const unnumbered = 0

// sendMessage queues a message for the client.
func (s *session) sendMessage(m *wire.Message) { s.client.Send(m.Encode()) }

// sendUnnumbered queues a message that is not numbered: it is lost with the transport.
func (s *session) sendUnnumbered(m *wire.Message) {
	s.client.Send(append([]byte{unnumbered}, m.Encode()...))
}

// checkProbe gives a transport up that hasn't been heard since it was asked.
func (s *session) checkProbe(t transport, asked int64) {
	s.mu.Lock()
	s.probeTimer = nil
	present := s.transport == t
	s.mu.Unlock()
	if present && s.lastSeen.Load() < asked {
		s.detach(t)
	}
}

func (s *session) markSeen() { s.lastSeen.Store(time.Now().UnixMilli()) }

// markAlive notes a sign of life.
func (s *session) markAlive() {
	s.markSeen()
	s.client.Seen()
}

// countMessage counts a message, as websocket.Peer's Admit.
func (s *session) countMessage(size int) (wait time.Duration, tooFast bool) {
	s.rateMu.Lock()
	defer s.rateMu.Unlock()
	return s.client.CountMessage(size)
}

func (s *session) sinceSeen() time.Duration { return time.Since(time.UnixMilli(s.lastSeen.Load())) }

// DropTransport implements signal.Resumable.
func (s *session) DropTransport() bool {
	s.mu.Lock()
	t, stays := s.transport, s.confirmed && !s.closed
	s.mu.Unlock()
	if t != nil {
		s.detach(t)
	}
	s.client.Seen()
	return stays
}

// detach does without a transport from now on.
func (s *session) detach(t transport) {
	t.Abort()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport != t || s.closed {
		return
	}
	s.transport = nil
	s.handler.metrics.detached.Inc()
	if s.confirmed {
		s.startResumeTimer()
	} else {
		s.client.End(signal.Gone)
	}
}

// startResumeTimer gives the client its time to come back. The caller holds mu.
func (s *session) startResumeTimer() {
	s.resumeTimer = time.AfterFunc(s.handler.hub.Limits().ResumeWithin, func() {
		s.mu.Lock()
		gone := s.transport == nil
		s.mu.Unlock()
		if gone {
			s.client.End(signal.ResumeTimeout)
		}
	})
}

// Abort implements signal.Conn.
func (s *session) Abort() {
	s.mu.Lock()
	t, over := s.transport, s.closed
	s.mu.Unlock()
	if t == nil || over && s.handler.hub.DoneContext().Err() == nil {
		return // a transport that was closed with a goodbye lingers for a second at most
	}
	t.Abort()
}
