package native

import (
	"time"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// Write implements signal.Conn. The hub calls it for one frame at a time.
func (s *session) Write(frame []byte, deadline time.Time) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if frame, t := s.begun, s.begunOn; frame != nil {
		s.begun, s.begunOn = nil, nil
		if s.carriedBy(t) { // else whoever carries it now has been handed what was kept
			s.finishOn(t, frame, deadline)
		}
		return nil
	}
	if frame, t := s.prepare(frame); t != nil {
		s.finishOn(t, frame, deadline)
	}
	return nil
}

func (s *session) finishOn(t transport, frame []byte, deadline time.Time) {
	if t.Write(frame, deadline) != nil || s.doubts(t) && t.Ping(time.Now().Add(answer)) != nil {
		s.lose(t)
	}
}

// prepare numbers a frame and keeps it. It returns what to write it to, nil if nothing carries the session. The caller
// holds writing.
func (s *session) prepare(frame []byte) ([]byte, transport) {
	s.mu.Lock()
	t, full := s.transport, false
	if frame[0] == unnumbered {
		frame = frame[1:]
	} else {
		frame = wire.Numbered(frame, s.kept.next())
		s.kept.push(frame)
		l := s.handler.hub.Limits()
		dropped := s.kept.trim(l.ResumeMessages, l.ResumeBytes)
		for !s.client.Cover(&s.loan, s.kept.bytes) { // too much waits for its address: who loses its transport now can't resume
			s.kept.drop()
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

// TryWrite implements signal.Prompt.
func (s *session) TryWrite(frame []byte) (done bool, err error) {
	if !s.writing.tryLock() {
		return false, nil
	}
	defer s.writing.Unlock()
	frame, t := s.prepare(frame)
	if t == nil {
		return true, nil
	}
	done, err = t.TryWrite(frame)
	switch {
	case err != nil:
		s.lose(t)
	case !done:
		s.begun, s.begunOn = frame, t
		return false, nil
	case s.doubts(t):
		if _, err := t.TryPing(); err != nil {
			s.lose(t)
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

// TryPing implements signal.Prompt.
func (s *session) TryPing() (done bool, err error) {
	if !s.writing.tryLock() {
		return false, nil
	}
	defer s.writing.Unlock()
	s.mu.Lock()
	t := s.transport
	s.mu.Unlock()
	if t == nil {
		s.client.Seen()
		return true, nil
	}
	done, err = t.TryPing()
	if err != nil {
		s.lose(t)
		return true, nil
	}
	return done, nil
}

// doubts notes that something was written to t. It reports whether a sign of life should be asked for, because there
// hasn't been one for a while.
func (s *session) doubts(t transport) bool {
	if !t.Answers() {
		s.live()
		return false
	}
	if s.silence() < quiet {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.probing != nil || s.transport != t {
		return false
	}
	asked := time.Now().UnixMilli()
	s.probing = time.AfterFunc(answer, func() { s.probed(t, asked) })
	return true
}
