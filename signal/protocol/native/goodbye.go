package native

import (
	"time"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// goodbyes maps a reason to the "reason" and "reconnect" of its bye message; see [signal.Reason] for the whole table. The
// server sends no bye for a reason that is missing here.
var goodbyes = map[signal.Reason]struct {
	reason    string
	reconnect bool
}{
	signal.Restarting:        {"restarting", true},
	signal.SlowReader:        {"slow-reader", true},
	signal.WriteFailed:       {"slow-reader", true},
	signal.TooLarge:          {"too-large", true},
	signal.BadText:           {"protocol", true},
	signal.Stalled:           {"protocol", true},
	signal.InternalError:     {"error", true},
	signal.Expired:           {"token-expired", true},
	signal.TransportReplaced: {"elsewhere", false},
	signal.Replaced:          {"replaced", false},
}

// writeGoodbye writes the bye message, if there is one for the reason, and closes the transport. The caller holds writeMu.
func writeGoodbye(t transport, why signal.Reason) {
	if g, ok := goodbyes[why]; ok {
		bye := wire.Message{Type: wire.Bye, Reason: g.reason, Reconnect: wire.Bool(g.reconnect)}
		if t.Write(bye.Encode(), time.Now().Add(byeWait)) != nil {
			t.Abort()
			return
		}
	}
	t.Close(why)
}

// Close implements signal.Conn. It ends the session: it says goodbye on the transport, if there is one, and frees the
// session's resources in the background.
func (s *session) Close(why signal.Reason) {
	s.mu.Lock()
	t := s.transport
	s.markClosed()
	s.mu.Unlock()
	if t != nil {
		s.writeMu.Lock()
		writeGoodbye(t, why)
		s.writeMu.Unlock()
	}
	go s.finish() // in a new goroutine, because finish waits for the hub's writer, and that writer is the caller
}

// markClosed marks the session as ended and stops its timers. The caller holds mu.
func (s *session) markClosed() {
	s.closed = true
	for _, t := range []*time.Timer{s.probeTimer, s.resumeTimer, s.tokenTimer, s.iceTimer} {
		if t != nil {
			t.Stop()
		}
	}
	for _, t := range s.callICETimers {
		t.Stop()
	}
	s.callICETimers = nil
}

// finish takes the ended session out of its calls and out of the hub, and frees its memory. The hub's Shutdown waits for
// it.
func (s *session) finish() {
	s.handler.calls.Drop(party{s})
	s.mu.Lock()
	if s.transport == nil {
		s.handler.metrics.detached.Dec()
	}
	release := s.releaseConn
	s.mu.Unlock()
	release()
	s.client.Close()
	s.mu.Lock()
	s.replay = replayBuffer{}
	s.client.Reserve(&s.reserved, 0)
	s.mu.Unlock()
	close(s.finished)
}
