package native

import (
	"time"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// Write implements signal.Conn. The hub calls it for one frame at a time.
func (s *session) Write(frame []byte, deadline time.Time) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if frame, t := s.partialFrame, s.partialOn; frame != nil {
		s.partialFrame, s.partialOn = nil, nil
		if s.isTransport(t) { // else whoever carries it now has been handed what was kept
			s.writeTo(t, frame, deadline)
		}
		return nil
	}
	if frame, t := s.numberFrame(frame); t != nil {
		s.writeTo(t, frame, deadline)
	}
	return nil
}

func (s *session) writeTo(t transport, frame []byte, deadline time.Time) {
	if t.Write(frame, deadline) != nil || s.needsProbe(t) && t.Ping(time.Now().Add(probeWait)) != nil {
		s.detach(t)
	}
}

// numberFrame numbers a frame and keeps it. It returns what to write it to, nil if nothing carries the session. The caller
// holds writing.
func (s *session) numberFrame(frame []byte) ([]byte, transport) {
	s.mu.Lock()
	t, full := s.transport, false
	if frame[0] == unnumbered {
		frame = frame[1:]
	} else {
		frame = wire.Numbered(frame, s.replay.nextSeq())
		s.replay.push(frame)
		l := s.handler.hub.Limits()
		dropped := s.replay.trim(l.ResumeMessages, l.ResumeBytes)
		for !s.client.Reserve(&s.loan, s.replay.bytes) { // too much waits for its address: who loses its transport now can't resume
			s.replay.dropOldest()
			dropped = true
		}
		full = dropped && t == nil
	}
	s.mu.Unlock()
	if full {
		s.client.End(signal.Overflowed)
	}
	return frame, t
}

// TryWrite implements signal.NonblockingConn.
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

// Ping implements signal.Conn. Who has no transport is taken for alive until its time has passed.
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

// TryPing implements signal.NonblockingConn.
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

// needsProbe notes that something was written to t. It reports whether a sign of life should be asked for, because there
// hasn't been one for a while.
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
