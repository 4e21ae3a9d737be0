package native

import (
	"time"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// attach gives the session a transport: it writes the first message, then what the client has missed since
// the message numbered seq. An older transport is told goodbye. An error is for the client; one that is nil doesn't
// say that the transport still lives.
func (s *session) attach(t transport, seq uint64, first func() *wire.Message) *signal.Error {
	s.detachOld()
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	frames, err := s.attachTransport(t, seq, first)
	if err == nil {
		s.catchUp(t, frames)
	}
	return err
}

// attachInline gives a new session its first transport. It returns what of that has to be waited for.
func (s *session) attachInline(t transport, welcome *wire.Message) (slow func(), refused *signal.Error) {
	s.writeMu.Lock() // which is no wait: whoever writes to a session without transport keeps it for a moment
	frames, refused := s.attachTransport(t, 0, func() *wire.Message { return welcome })
	if refused != nil {
		s.writeMu.Unlock()
		return nil, refused
	}
	done, err := t.TryWrite(frames[0])
	switch {
	case err != nil:
		s.detach(t)
		frames = nil
	case done:
		frames = frames[1:]
	}
	if len(frames) == 0 {
		s.writeMu.Unlock()
		return nil, nil
	}
	return func() {
		defer s.writeMu.Unlock()
		s.catchUp(t, frames)
	}, nil
}

// attachTransport makes t the session's transport, and returns what is to be written to it. The caller holds writing.
func (s *session) attachTransport(t transport, seq uint64, first func() *wire.Message) ([][]byte, *signal.Error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, signal.ErrResync
	}
	frames, ok := s.replay.after(seq)
	if !ok {
		s.mu.Unlock()
		s.client.End(signal.Overflowed)
		return nil, signal.ErrResync
	}
	if s.resumeTimer != nil {
		s.resumeTimer.Stop()
		s.resumeTimer = nil
	}
	s.transport = t
	s.handler.metrics.detached.Dec()
	frames = append([][]byte{first().Encode()}, frames...)
	s.mu.Unlock()
	s.markAlive()
	return frames, nil
}

// catchUp writes to a transport what it should have. The caller holds writing.
func (s *session) catchUp(t transport, frames [][]byte) {
	deadline := time.Now().Add(writeWait)
	for _, f := range frames {
		if err := t.Write(f, deadline); err != nil {
			s.detach(t)
			return
		}
	}
}

// detachOld tells the present transport that the session goes on elsewhere.
func (s *session) detachOld() {
	s.mu.Lock()
	old := s.transport
	s.transport = nil
	if old != nil {
		s.handler.metrics.detached.Inc()
	}
	s.mu.Unlock()
	if old == nil {
		return
	}
	if s.writeMu.tryLockFor(byeWait) {
		writeGoodbye(old, signal.TransportReplaced)
		s.writeMu.Unlock()
		return
	}
	old.Abort() // which frees who is writing to it
}

// findSession returns the session that a secret is for.
func (h *Handler) findSession(secret string) (*session, bool) {
	c, ok := h.hub.ClientByToken(secret)
	if !ok {
		return nil, false
	}
	s, ok := c.Conn().(*session)
	return s, ok
}

// resumedMessage is the message that says where the session stands. The caller holds mu.
func (s *session) resumedMessage() *wire.Message {
	return &wire.Message{
		Type: wire.Resumed, ID: s.client.Addr().String(), Name: s.client.Name(),
		Ack: s.received.Load(), Seq: s.replay.lastSeq,
	}
}

// resume attaches a transport to the session of a secret.
func (h *Handler) resume(t transport, secret string, seq uint64) (*session, *signal.Error) {
	s, ok := h.findSession(secret)
	if ok {
		s.markConfirmed() // it knows the secret
	} else {
		h.metrics.resumes[unknown].Inc()
		return nil, signal.ErrResync
	}
	err := s.attach(t, seq, s.resumedMessage)
	if err != nil {
		h.metrics.resumes[overflow].Inc()
		return nil, err
	}
	h.metrics.resumes[resumed].Inc()
	return s, nil
}
