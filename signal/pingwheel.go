package signal

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// wheelSlots is the number of slots into which a ping period is divided. By default a slot lasts 0.4 s.
const wheelSlots = 25

// pingWheel is a timing wheel: one goroutine pings all clients, so that no client needs a timer. Each client belongs to the
// slot that was current when it connected. Once per period the wheel reaches that slot and pings the slot's clients.
// pongTicks ticks later it ends those that have not answered.
type pingWheel struct {
	tick      time.Duration // how long each slot is current
	period    time.Duration
	pong      time.Duration
	pongTicks int // pong in ticks, rounded up

	current atomic.Int32 // slot
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

// addClient adds a client to the current slot, whose clients have just been pinged. The wheel therefore first pings the new
// client after a full period.
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

// run turns the wheel until ctx ends.
func (w *pingWheel) run(ctx context.Context, now func() time.Duration) {
	t := time.NewTicker(w.tick)
	defer t.Stop()
	var batch []*Client
	for slot := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		slot = (slot + 1) % wheelSlots
		w.current.Store(int32(slot))
		batch = w.collect(batch[:0], (slot+wheelSlots-w.pongTicks%wheelSlots)%wheelSlots)
		for _, c := range batch {
			if c.pongOverdue(now(), w.pong-w.tick/2) { // half a tick of tolerance for the ticker
				c.pongMissed()
			}
		}
		batch = w.collect(batch[:0], slot)
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

// collect appends the clients of a slot to batch, so that the caller can handle them without holding the slot's lock.
func (w *pingWheel) collect(batch []*Client, slot int) []*Client {
	s := &w.slots[slot]
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		batch = append(batch, c)
	}
	return batch
}
