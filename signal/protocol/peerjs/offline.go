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

// waitingMessage is a message that waits.
type waitingMessage struct {
	from  *peer
	frame []byte
}

// recipientQueue is what waits for one recipient.
type recipientQueue struct {
	to       address
	due      time.Time
	messages []waitingMessage
	usage    usage
	emptied  bool // by its recipient
}

// usage is an amount of messages.
type usage struct{ messages, bytes int }

func (u usage) fits(size, messages, bytes int) bool {
	return u.messages < messages && u.bytes+size <= bytes
}

func (u *usage) add(size, sign int) {
	u.messages += sign
	u.bytes += sign * size
}

// offlineStore keeps what is for clients that aren't there.
type offlineStore struct {
	hub     *signal.Hub
	metrics *metrics
	after   time.Duration // that something expires

	mu      sync.Mutex
	queues  map[address]*recipientQueue
	addrs   map[netip.Addr]usage // of what senders there have waiting
	queue   []*recipientQueue    // in the order in which they are due
	total   usage
	running bool // a goroutine, which the hub waits for, expires boxes
}

// addMessage keeps a message, if there is room. The policy when there is none is to refuse the newest.
func (o *offlineStore) addMessage(to address, l waitingMessage) (kept bool) {
	size := len(l.frame)
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.queues[to]
	switch {
	case !o.total.fits(size, totalMessages, totalBytes),
		!l.from.waiting.fits(size, boxMessages, boxBytes),
		!o.senderUsage(l).fits(size, addrMessages, addrBytes),
		b != nil && !b.usage.fits(size, boxMessages, boxBytes),
		!o.startExpiring():
		o.metrics.refused.Inc()
		return false
	}
	if b == nil {
		b = &recipientQueue{to: to, due: time.Now().Add(o.after)}
		o.queues[to] = b
		o.queue = append(o.queue, b)
	}
	b.messages = append(b.messages, l)
	b.usage.add(size, 1)
	o.countMessage(l, 1)
	return true
}

// senderUsage is what waits of the sender's address. The caller holds mu.
func (o *offlineStore) senderUsage(l waitingMessage) usage { return o.addrs[l.from.addrKey()] }

// countMessage counts a message in or out. The caller holds mu.
func (o *offlineStore) countMessage(l waitingMessage, sign int) {
	size := len(l.frame)
	l.from.waiting.add(size, sign)
	o.total.add(size, sign)
	n := o.senderUsage(l)
	n.add(size, sign)
	if o.addrs[l.from.addrKey()] = n; n == (usage{}) {
		delete(o.addrs, l.from.addrKey())
	}
}

// takeMessages returns what waits for a client, in order.
func (o *offlineStore) takeMessages(to address) []waitingMessage {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.queues[to]
	if b == nil {
		return nil
	}
	b.emptied = true
	o.metrics.delivered.Add(float64(len(b.messages)))
	return o.remove(b)
}

// remove empties a queue. The caller holds mu.
func (o *offlineStore) remove(b *recipientQueue) []waitingMessage {
	delete(o.queues, b.to)
	for _, l := range b.messages {
		o.countMessage(l, -1)
	}
	letters := b.messages
	b.messages = nil
	return letters
}

// startExpiring sees to it that boxes expire, unless the hub is leaving. The caller holds mu.
func (o *offlineStore) startExpiring() bool {
	if o.running {
		return true
	}
	done, err := o.hub.Track()
	if err != nil {
		return false
	}
	o.running = true
	go func() {
		defer done()
		for wait, ok := o.expire(time.Now()); ok; wait, ok = o.expire(time.Now()) {
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-o.hub.DrainingContext().Done():
				t.Stop()
				o.clear()
				return
			}
		}
	}()
	return true
}

// expire tells the senders of what is overdue, and returns when to do so again. If it reports false, nothing waits any more and nobody
// expires anything.
func (o *offlineStore) expire(now time.Time) (wait time.Duration, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) > 0 {
		b := o.queue[0]
		if !b.emptied {
			if wait = b.due.Sub(now); wait > 0 {
				return wait, true
			}
			o.sendExpired(b.to, o.remove(b))
		}
		o.queue[0] = nil
		o.queue = o.queue[1:]
	}
	o.queue, o.running = nil, false
	return 0, false
}

// sendExpired sends each sender one EXPIRE.
func (o *offlineStore) sendExpired(to address, letters []waitingMessage) {
	o.metrics.expired.Add(float64(len(letters)))
	told := make(map[*peer]bool)
	for _, l := range letters {
		if !told[l.from] {
			told[l.from] = true
			l.from.client.Send(expired(to.id, l.from.id))
		}
	}
}

// clear drops everything, when the hub leaves.
func (o *offlineStore) clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, b := range o.queues {
		o.remove(b)
	}
	o.queue, o.running = nil, false
}
