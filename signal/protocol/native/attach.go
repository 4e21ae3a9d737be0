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
	s.evict()
	s.writing.Lock()
	defer s.writing.Unlock()
	frames, err := s.take(t, seq, first)
	if err == nil {
		s.catchUp(t, frames)
	}
	return err
}

// attachNow gives a new session its first transport. It returns what of that has to be waited for.
func (s *session) attachNow(t transport, welcome *wire.Message) (slow func(), refused *signal.Error) {
	s.writing.Lock() // which is no wait: whoever writes to a session without transport keeps it for a moment
	frames, refused := s.take(t, 0, func() *wire.Message { return welcome })
	if refused != nil {
		s.writing.Unlock()
		return nil, refused
	}
	done, err := t.TryWrite(frames[0])
	switch {
	case err != nil:
		s.lose(t)
		frames = nil
	case done:
		frames = frames[1:]
	}
	if len(frames) == 0 {
		s.writing.Unlock()
		return nil, nil
	}
	return func() {
		defer s.writing.Unlock()
		s.catchUp(t, frames)
	}, nil
}

// take makes t the session's transport, and returns what is to be written to it. The caller holds writing.
func (s *session) take(t transport, seq uint64, first func() *wire.Message) ([][]byte, *signal.Error) {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return nil, signal.ErrResync
	}
	frames, ok := s.kept.after(seq)
	if !ok {
		s.mu.Unlock()
		s.client.End(signal.Overflowed)
		return nil, signal.ErrResync
	}
	if s.lapse != nil {
		s.lapse.Stop()
		s.lapse = nil
	}
	s.transport = t
	s.handler.metrics.detached.Dec()
	frames = append([][]byte{first().Encode()}, frames...)
	s.mu.Unlock()
	s.live()
	return frames, nil
}

// catchUp writes to a transport what it should have. The caller holds writing.
func (s *session) catchUp(t transport, frames [][]byte) {
	deadline := time.Now().Add(writeWait)
	for _, f := range frames {
		if err := t.Write(f, deadline); err != nil {
			s.lose(t)
			return
		}
	}
}

// evict tells the present transport that the session goes on elsewhere.
func (s *session) evict() {
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
	if s.writing.lockWithin(byeWait) {
		farewell(old, signal.Elsewhere)
		s.writing.Unlock()
		return
	}
	old.Abort() // which frees who is writing to it
}

// find returns the session that a secret is for.
func (h *Handler) find(secret string) (*session, bool) {
	c, ok := h.hub.Holder(secret)
	if !ok {
		return nil, false
	}
	s, ok := c.Conn().(*session)
	return s, ok
}

// standing is the message that says where the session stands. The caller holds mu.
func (s *session) standing() *wire.Message {
	return &wire.Message{
		Type: wire.Resumed, ID: s.client.Addr().String(), Name: s.client.Name(),
		Ack: s.received.Load(), Seq: s.kept.last,
	}
}

// resume attaches a transport to the session of a secret.
func (h *Handler) resume(t transport, secret string, seq uint64) (*session, *signal.Error) {
	s, ok := h.find(secret)
	if ok {
		s.confirm() // it knows the secret
	} else {
		h.metrics.resumes[unknown].Inc()
		return nil, signal.ErrResync
	}
	err := s.attach(t, seq, s.standing)
	if err != nil {
		h.metrics.resumes[overflow].Inc()
		return nil, err
	}
	h.metrics.resumes[resumed].Inc()
	return s, nil
}
