package native

import (
	"time"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// Write implements signal.Conn. It never fails, because the session keeps the frame if its transport fails. The hub calls
// it for one frame at a time. If TryWrite has already numbered the frame, Write only finishes writing it.
func (s *session) Write(frame []byte, deadline time.Time) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if frame, t := s.partialFrame, s.partialOn; frame != nil {
		s.partialFrame, s.partialOn = nil, nil
		if s.isTransport(t) { // otherwise attach has written the frame to the new transport, or will
			s.writeTo(t, frame, deadline)
		}
		return nil
	}
	if frame, t := s.numberFrame(frame); t != nil {
		s.writeTo(t, frame, deadline)
	}
	return nil
}

// writeTo writes a frame to t, and a probe if one is due. If either fails, it detaches t. The caller holds writeMu.
func (s *session) writeTo(t transport, frame []byte, deadline time.Time) {
	if t.Write(frame, deadline) != nil || s.needsProbe(t) && t.Ping(time.Now().Add(probeWait)) != nil {
		s.detach(t)
	}
}

// numberFrame gives a frame its sequence number and keeps it, unless it is marked as unnumbered. It returns the frame to
// write and the transport to write it to, which is nil if the session has none. If the session has no transport and can no
// longer keep all frames that the client has missed, numberFrame ends the session. The caller holds writeMu.
func (s *session) numberFrame(frame []byte) ([]byte, transport) {
	s.mu.Lock()
	t, overflowed := s.transport, false
	if frame[0] == unnumbered {
		frame = frame[1:]
	} else {
		frame = wire.Numbered(frame, s.replay.nextSeq())
		s.replay.push(frame)
		l := s.handler.hub.Limits()
		dropped := s.replay.trim(l.ResumeMessages, l.ResumeBytes)
		// Too many bytes may be waiting for all clients of this address. The session then keeps fewer frames, and cannot be
		// resumed if the client loses its transport before it has received them.
		for !s.client.Reserve(&s.reserved, s.replay.bytes) {
			s.replay.dropOldest()
			dropped = true
		}
		overflowed = dropped && t == nil
	}
	s.mu.Unlock()
	if overflowed {
		s.client.End(signal.Overflowed)
	}
	return frame, t
}

// TryWrite implements signal.NonblockingConn. It returns false if another goroutine is writing or the transport would
// block. In the second case TryWrite has numbered the frame and stored it in partialFrame, and Write finishes it.
func (s *session) TryWrite(frame []byte) (done bool, err error) {
	if !s.writeMu.tryLock() {
		return false, nil
	}
	defer s.writeMu.Unlock()
	frame, t := s.numberFrame(frame)
	if t == nil {
		return true, nil
	}
	done, err = t.TryWrite(frame)
	switch {
	case err != nil:
		s.detach(t)
	case !done:
		s.partialFrame, s.partialOn = frame, t
		return false, nil
	case s.needsProbe(t):
		if _, err := t.TryPing(); err != nil {
			s.detach(t)
		}
	}
	return true, nil
}

// Ping implements signal.Conn. A client without a transport counts as alive, because resumeTimer ends its session in time.
func (s *session) Ping(deadline time.Time) error {
	s.mu.Lock()
	t := s.transport
	s.mu.Unlock()
	if t == nil {
		s.client.Seen()
		return nil
	}
	s.writeMu.Lock()
	err := t.Ping(deadline)
	s.writeMu.Unlock()
	if err != nil {
		s.detach(t)
	} else if !t.AnswersPings() {
		s.markAlive()
	}
	return nil
}

// TryPing implements signal.NonblockingConn. It is Ping for a caller that must not block.
func (s *session) TryPing() (done bool, err error) {
	if !s.writeMu.tryLock() {
		return false, nil
	}
	defer s.writeMu.Unlock()
	s.mu.Lock()
	t := s.transport
	s.mu.Unlock()
	if t == nil {
		s.client.Seen()
		return true, nil
	}
	done, err = t.TryPing()
	if err != nil {
		s.detach(t)
		return true, nil
	}
	return done, nil
}

// needsProbe is called after a write to t. It reports whether the caller should also send a ping, because the client has
// been silent for quietTime; the answer to it is then due within probeWait. This finds a dead transport sooner than the
// hub's pings do. It matters here because the session is writing frames to that transport.
func (s *session) needsProbe(t transport) bool {
	if !t.AnswersPings() {
		s.markAlive()
		return false
	}
	if s.sinceSeen() < quietTime {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probeTimer != nil || s.transport != t {
		return false
	}
	asked := time.Now().UnixMilli()
	s.probeTimer = time.AfterFunc(probeWait, func() { s.checkProbe(t, asked) })
	return true
}
