package signal

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// wheelSlots is into how many slots a ping period is divided: one slot a second by default.
const wheelSlots = 25

// pingWheel pings all clients from one goroutine. A client stays in the slot it was put into, which the pingWheel
// passes once in a ping period; as many ticks later as a pong may take it passes again to see who answered.
type pingWheel struct {
	tick      time.Duration
	period    time.Duration
	pong      time.Duration
	pongTicks int // ticks after which a pong is due

	current atomic.Int32
	slots   [wheelSlots]struct {
		mu      sync.Mutex
		clients map[*Client]struct{}
	}
}

func (w *pingWheel) init(period, pong time.Duration) {
	w.period, w.pong, w.tick = period, pong, period/wheelSlots
	w.pongTicks = int((pong + w.tick - 1) / w.tick)
	for i := range w.slots {
		w.slots[i].clients = make(map[*Client]struct{})
	}
}

// addClient puts a client into the slot that has just been passed, so that its first ping is a full period away.
func (w *pingWheel) addClient(c *Client) uint8 {
	slot := uint8(w.current.Load()) % wheelSlots
	s := &w.slots[slot]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients[c] = struct{}{}
	return slot
}

func (w *pingWheel) removeClient(c *Client) {
	s := &w.slots[c.wheelSlot]
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c)
}

func (w *pingWheel) run(ctx context.Context, now func() time.Duration) {
	t := time.NewTicker(w.tick)
	defer t.Stop()
	var batch []*Client
	for at := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		at = (at + 1) % wheelSlots
		w.current.Store(int32(at))
		batch = w.collect(batch[:0], (at+wheelSlots-w.pongTicks%wheelSlots)%wheelSlots)
		for _, c := range batch {
			if c.pongOverdue(now(), w.pong-w.tick/2) {
				c.pongMissed()
			}
		}
		batch = w.collect(batch[:0], at)
		for _, c := range batch {
			if c.expired() {
				c.End(Expired)
			} else {
				c.ping()
			}
		}
		clear(batch)
	}
}

func (w *pingWheel) collect(batch []*Client, slot int) []*Client {
	s := &w.slots[slot]
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		batch = append(batch, c)
	}
	return batch
}
