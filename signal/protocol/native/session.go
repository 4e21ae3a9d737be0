package native

import (
	"sync"
	"sync/atomic"
	"time"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// transport is a network connection that carries a session's frames: a WebSocket or an event stream.
type transport interface {
	signal.NonblockingConn
	// AnswersPings reports whether the client answers pings on this transport. If it does not, a successful write counts
	// as a sign of life.
	AnswersPings() bool
}

// session is one signed-in client of this protocol. To the hub it is the client's connection, and that connection never
// breaks: a session can lose its transport and get another one. It keeps the frames that are written in the meantime.
//
// A session ends when the hub calls Close. Code that wants to end it calls Client.End, which makes the hub do that.
type session struct {
	handler     *Handler
	client      *signal.Client
	releaseConn func()        // tells the gateway to stop counting the session's connection
	finished    chan struct{} // closed when the session has ended and has freed everything
	lastSeen    atomic.Int64  // Unix milliseconds of the last sign of life on any transport

	rateMu      sync.Mutex   // held while a message is counted, because POSTs may be concurrent
	activePosts atomic.Int32 // POSTs that are being served

	// requestMu is held while a request is handled, because an old transport, a new one and POSTs can deliver requests
	// concurrently.
	requestMu sync.Mutex
	received  atomic.Uint64 // the highest sequence number received from the client
	sinceAck  int           // numbered messages received since the last ack was sent

	// writeMu is held while a frame is numbered and written, so that frames go out in order. Locked before mu.
	writeMu      timedMutex
	partialFrame []byte    // a numbered frame that TryWrite could not finish; the next Write does
	partialOn    transport // the transport on which partialFrame was begun

	mu          sync.Mutex
	transport   transport // nil while there is none
	replay      replayBuffer
	reserved    signal.Reservation // counts the bytes in replay against the limits of waiting bytes
	confirmed   bool               // the client has sent something after its hello
	closed      bool
	probeTimer  *time.Timer // gives up the transport unless the client answers a probe
	resumeTimer *time.Timer // ends the session unless the client resumes it
	tokenTimer  *time.Timer // ends the session when its token expires

	iceTimer      *time.Timer            // sends fresh ICE servers for the session
	callICETimers map[string]*time.Timer // sends fresh ICE servers for a call, by the call's ID

	grant signal.Grant
}

func newSession(h *Handler, releaseConn func()) *session {
	s := &session{handler: h, writeMu: make(timedMutex, 1), releaseConn: releaseConn, finished: make(chan struct{})}
	s.markSeen()
	h.metrics.detached.Inc()
	return s
}

// timedMutex is a mutex whose Lock can have a timeout. Make it with a capacity of 1.
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

// markConfirmed notes that the client has sent something after its hello. From then on the session is kept when its
// transport is lost. Before that, the client may have missed the welcome. Without the secret in the welcome it cannot
// resume.
func (s *session) markConfirmed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confirmed = true
}

// isTransport reports whether t is the session's current transport.
func (s *session) isTransport(t transport) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transport == t && !s.closed
}

// Bind implements signal.Resumable.
func (s *session) Bind(c *signal.Client) { s.client = c }

// unnumbered is the first byte of a frame that gets no sequence number. Such a frame is not kept for resuming.
const unnumbered = 0

// sendMessage queues a message, which gets a sequence number and is kept until the client acknowledges it.
func (s *session) sendMessage(m *wire.Message) { s.client.Send(m.Encode()) }

// sendUnnumbered queues a message without a sequence number. If the transport fails, the message is lost.
func (s *session) sendUnnumbered(m *wire.Message) {
	s.client.Send(append([]byte{unnumbered}, m.Encode()...))
}

// checkProbe detaches t if the client has given no sign of life since the time asked, in Unix milliseconds, at which the
// session probed it.
func (s *session) checkProbe(t transport, asked int64) {
	s.mu.Lock()
	s.probeTimer = nil
	current := s.transport == t
	s.mu.Unlock()
	if current && s.lastSeen.Load() < asked {
		s.detach(t)
	}
}

func (s *session) markSeen() { s.lastSeen.Store(time.Now().UnixMilli()) }

// markAlive notes a sign of life for the session and for the hub.
func (s *session) markAlive() {
	s.markSeen()
	s.client.Seen()
}

// countMessage is signal.Client.CountMessage for concurrent callers.
func (s *session) countMessage(size int) (wait time.Duration, tooFast bool) {
	s.rateMu.Lock()
	defer s.rateMu.Unlock()
	return s.client.CountMessage(size)
}

func (s *session) sinceSeen() time.Duration { return time.Since(time.UnixMilli(s.lastSeen.Load())) }

// DropTransport implements signal.Resumable.
func (s *session) DropTransport() bool {
	s.mu.Lock()
	t, resumable := s.transport, s.confirmed && !s.closed
	s.mu.Unlock()
	if t != nil {
		s.detach(t)
	}
	s.client.Seen()
	return resumable
}

// detach aborts t. If t is the session's current transport, the session is left without one: it waits for the client to
// resume, or ends if the client never confirmed that it got its welcome.
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

// startResumeTimer ends the session if the client does not resume it in time. The caller holds mu.
func (s *session) startResumeTimer() {
	s.resumeTimer = time.AfterFunc(s.handler.hub.Limits().ResumeWithin, func() {
		s.mu.Lock()
		detached := s.transport == nil
		s.mu.Unlock()
		if detached {
			s.client.End(signal.ResumeTimeout)
		}
	})
}

// Abort implements signal.Conn.
func (s *session) Abort() {
	s.mu.Lock()
	t, closed := s.transport, s.closed
	s.mu.Unlock()
	if t == nil || closed && s.handler.hub.DoneContext().Err() == nil {
		return // Close writes a goodbye and ends the transport within a second; only a forced shutdown cuts that short
	}
	t.Abort()
}
