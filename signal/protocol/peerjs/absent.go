package peerjs

import (
	"net/netip"
	"sync"
	"time"

	"icebox/signal"
)

// Bounds on what waits for clients that aren't there.
const (
	boxMessages, boxBytes     = 64, 256 << 10 // for one recipient, and of one sender
	addrMessages, addrBytes   = 512, 2 << 20  // of one address, a /64 where it is IPv6
	totalMessages, totalBytes = 4096, 16 << 20
)

// address is a client's, in the space of its application.
type address struct{ space, id string }

// letter is a message that waits.
type letter struct {
	from  *session
	frame []byte
}

// box is what waits for one recipient.
type box struct {
	to      address
	due     time.Time
	letters []letter
	load    load
	taken   bool // by its recipient
}

// load is an amount of messages.
type load struct{ messages, bytes int }

func (l load) fits(size, messages, bytes int) bool {
	return l.messages < messages && l.bytes+size <= bytes
}

func (l *load) add(size, sign int) {
	l.messages += sign
	l.bytes += sign * size
}

// absent keeps what is for clients that aren't there.
type absent struct {
	hub   *signal.Hub
	count *metrics
	after time.Duration // that something expires

	mu      sync.Mutex
	boxes   map[address]*box
	addrs   map[netip.Addr]load // of what senders there have waiting
	queue   []*box              // in the order in which they are due
	total   load
	running bool // a goroutine, which the hub waits for, expires boxes
}

// put keeps a letter, if there is room. The policy when there is none is to refuse the newest.
func (a *absent) put(to address, l letter) (kept bool) {
	size := len(l.frame)
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.boxes[to]
	switch {
	case !a.total.fits(size, totalMessages, totalBytes),
		!l.from.waiting.fits(size, boxMessages, boxBytes),
		!a.of(l).fits(size, addrMessages, addrBytes),
		b != nil && !b.load.fits(size, boxMessages, boxBytes),
		!a.run():
		a.count.refused.Inc()
		return false
	}
	if b == nil {
		b = &box{to: to, due: time.Now().Add(a.after)}
		a.boxes[to] = b
		a.queue = append(a.queue, b)
	}
	b.letters = append(b.letters, l)
	b.load.add(size, 1)
	a.account(l, 1)
	return true
}

// of is what waits of the sender's address. The caller holds mu.
func (a *absent) of(l letter) load { return a.addrs[l.from.bucket()] }

// account counts a letter in or out. The caller holds mu.
func (a *absent) account(l letter, sign int) {
	size := len(l.frame)
	l.from.waiting.add(size, sign)
	a.total.add(size, sign)
	n := a.of(l)
	n.add(size, sign)
	if a.addrs[l.from.bucket()] = n; n == (load{}) {
		delete(a.addrs, l.from.bucket())
	}
}

// take returns what waits for a client, in order.
func (a *absent) take(to address) []letter {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.boxes[to]
	if b == nil {
		return nil
	}
	b.taken = true
	a.count.delivered.Add(float64(len(b.letters)))
	return a.remove(b)
}

// remove empties a box. The caller holds mu.
func (a *absent) remove(b *box) []letter {
	delete(a.boxes, b.to)
	for _, l := range b.letters {
		a.account(l, -1)
	}
	letters := b.letters
	b.letters = nil
	return letters
}

// run sees to it that boxes expire, unless the hub is leaving. The caller holds mu.
func (a *absent) run() bool {
	if a.running {
		return true
	}
	done, err := a.hub.Attend()
	if err != nil {
		return false
	}
	a.running = true
	go func() {
		defer done()
		for wait, ok := a.expire(time.Now()); ok; wait, ok = a.expire(time.Now()) {
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-a.hub.Leaving().Done():
				t.Stop()
				a.clear()
				return
			}
		}
	}()
	return true
}

// expire tells the senders of what is overdue, and returns when to do so again. If it reports false, nothing waits any more and nobody
// expires anything.
func (a *absent) expire(now time.Time) (wait time.Duration, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.queue) > 0 {
		b := a.queue[0]
		if !b.taken {
			if wait = b.due.Sub(now); wait > 0 {
				return wait, true
			}
			a.tell(b.to, a.remove(b))
		}
		a.queue[0] = nil
		a.queue = a.queue[1:]
	}
	a.queue, a.running = nil, false
	return 0, false
}

// tell sends each sender one EXPIRE.
func (a *absent) tell(to address, letters []letter) {
	a.count.expired.Add(float64(len(letters)))
	told := make(map[*session]bool)
	for _, l := range letters {
		if !told[l.from] {
			told[l.from] = true
			l.from.client.Send(expired(to.id, l.from.id))
		}
	}
}

// clear drops everything, when the hub leaves.
func (a *absent) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.boxes {
		a.remove(b)
	}
	a.queue, a.running = nil, false
}
