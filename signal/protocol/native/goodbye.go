package native

import (
	"time"

	"icebox/signal"
	"icebox/signal/protocol/native/wire"
)

// goodbyes says what a client is told when its connection ends, and whether it should come back.
var goodbyes = map[signal.Reason]struct {
	reason    string
	reconnect bool
}{
	signal.Restarting:  {"restarting", true},
	signal.SlowReader:  {"slow-reader", true},
	signal.WriteFailed: {"slow-reader", true},
	signal.TooLarge:    {"too-large", true},
	signal.BadText:     {"protocol", true},
	signal.Stalled:     {"protocol", true},
	signal.Broken:      {"error", true},
	signal.Expired:     {"token-expired", true},
	signal.Elsewhere:   {"elsewhere", false},
	signal.Replaced:    {"replaced", false},
}

// farewell says goodbye on a transport. The caller holds writing.
func farewell(t transport, why signal.Reason) {
	if g, ok := goodbyes[why]; ok {
		bye := wire.Message{Type: wire.Bye, Reason: g.reason, Reconnect: wire.Bool(g.reconnect)}
		if t.Write(bye.Encode(), time.Now().Add(byeWait)) != nil {
			t.Abort()
			return
		}
	}
	t.Close(why)
}

// Close implements signal.Conn: the session is over.
func (s *session) Close(why signal.Reason) {
	s.mu.Lock()
	t := s.transport
	s.retire()
	s.mu.Unlock()
	if t != nil {
		s.writing.Lock()
		farewell(t, why)
		s.writing.Unlock()
	}
	go s.finish() // which waits for the hub's writer, who is the caller
}

// retire marks the session as over and stops its timers. The caller holds mu.
func (s *session) retire() {
	s.over = true
	for _, t := range []*time.Timer{s.probing, s.lapse, s.expiry, s.freshICE} {
		if t != nil {
			t.Stop()
		}
	}
	for _, t := range s.freshCalls {
		t.Stop()
	}
	s.freshCalls = nil
}

// finish frees what the session holds. The hub's Shutdown waits for it.
func (s *session) finish() {
	s.handler.calls.Drop(party{s})
	s.mu.Lock()
	if s.transport == nil {
		s.handler.metrics.detached.Dec()
	}
	slot := s.slot
	s.mu.Unlock()
	slot()
	s.client.Close()
	s.mu.Lock()
	s.kept = ring{}
	s.client.Cover(&s.loan, 0)
	s.mu.Unlock()
	close(s.ended)
}
