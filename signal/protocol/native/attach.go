package native

import (
	"time"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// attach makes t the session's transport. It says goodbye on the previous transport, then writes the first message and all
// kept messages above seq to t. The caller sends the error to the client. If writing fails, attach detaches t again and
// still returns nil, because the client can resume.
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

// attachInline is attach for a new session, on a goroutine that must not block. If the welcome and the kept messages
// cannot be written at once, it returns a function that writes the rest and may block.
func (s *session) attachInline(t transport, welcome *wire.Message) (slow func(), refused *signal.Error) {
	s.writeMu.Lock() // does not block for long: without a transport, writers only number and keep their frames
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

// attachTransport makes t the session's transport and returns the frames to write to it: the first message, then the kept
// ones above seq. If some of those are missing, it ends the session. The caller holds writeMu.
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

// catchUp writes frames to t, or detaches t if it cannot. The caller holds writeMu.
func (s *session) catchUp(t transport, frames [][]byte) {
	deadline := time.Now().Add(writeWait)
	for _, f := range frames {
		if err := t.Write(f, deadline); err != nil {
			s.detach(t)
			return
		}
	}
}

// detachOld takes the session's current transport away and says goodbye on it.
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
	old.Abort() // a write of another goroutine on it hangs; Abort makes that write fail, and the goroutine then unlocks writeMu
}

// findSession returns the session with this secret.
func (h *Handler) findSession(secret string) (*session, bool) {
	c, ok := h.hub.ClientByToken(secret)
	if !ok {
		return nil, false
	}
	s, ok := c.Conn().(*session)
	return s, ok
}

// resumedMessage returns the response to a hello that resumes the session. The caller holds mu.
func (s *session) resumedMessage() *wire.Message {
	return &wire.Message{
		Type: wire.Resumed, ID: s.client.Addr().String(), Name: s.client.Name(),
		Ack: s.received.Load(), Seq: s.replay.lastSeq,
	}
}

// resume makes t the transport of the session with this secret, and sends the client all messages above seq.
func (h *Handler) resume(t transport, secret string, seq uint64) (*session, *signal.Error) {
	s, ok := h.findSession(secret)
	if ok {
		s.markConfirmed() // the client knows the secret, so it has received its welcome
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
