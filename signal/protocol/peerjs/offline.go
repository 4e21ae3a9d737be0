package peerjs

import (
	"net/netip"
	"sync"
	"time"

	"icebox/signal"
)

// Limits on waiting messages.
const (
	queueMessages, queueBytes = 64, 256 << 10 // to one recipient, and also from one sender
	addrMessages, addrBytes   = 512, 2 << 20  // from one address (IPv6: one /64)
	totalMessages, totalBytes = 4096, 16 << 20
)

// fullName is a client's id together with the namespace of its application. The same id in two namespaces means two clients.
type fullName struct{ namespace, id string }

// waitingMessage is a message whose recipient is not connected.
type waitingMessage struct {
	from  *peer
	frame []byte // the frame for the recipient
}

// recipientQueue holds the messages that wait for one recipient. All of them expire when the oldest does.
type recipientQueue struct {
	to       fullName
	due      time.Time // when the messages expire
	messages []waitingMessage
	usage    usage
	emptied  bool // the recipient has received the messages; the queue is still in expiryOrder
}

// usage is a number of messages and of their bytes.
type usage struct{ messages, bytes int }

// fits reports whether one more message of the given size stays within limits on messages and bytes.
func (u usage) fits(size, messages, bytes int) bool {
	return u.messages < messages && u.bytes+size <= bytes
}

// add counts a message in (sign 1) or out (sign -1).
func (u *usage) add(size, sign int) {
	u.messages += sign
	u.bytes += sign * size
}

// offlineStore holds messages whose recipients are not connected, until they connect or the messages expire. Its methods
// lock mu, unless their comments say that the caller holds it.
type offlineStore struct {
	hub         *signal.Hub
	metrics     *metrics
	expireAfter time.Duration

	mu          sync.Mutex
	queues      map[fullName]*recipientQueue
	addrs       map[netip.Addr]usage // of waiting messages, by the address of their sender
	expiryOrder []*recipientQueue    // sorted by due
	total       usage
	running     bool // the goroutine that expires queues runs
}

// addMessage stores a message and reports whether it did. It refuses the new message when a limit is reached or the hub is
// shutting down.
func (o *offlineStore) addMessage(to fullName, m waitingMessage) (kept bool) {
	size := len(m.frame)
	o.mu.Lock()
	defer o.mu.Unlock()
	q := o.queues[to]
	switch {
	case !o.total.fits(size, totalMessages, totalBytes),
		!m.from.waiting.fits(size, queueMessages, queueBytes),
		!o.senderUsage(m).fits(size, addrMessages, addrBytes),
		q != nil && !q.usage.fits(size, queueMessages, queueBytes),
		!o.startExpiring():
		o.metrics.refused.Inc()
		return false
	}
	if q == nil {
		q = &recipientQueue{to: to, due: time.Now().Add(o.expireAfter)}
		o.queues[to] = q
		o.expiryOrder = append(o.expiryOrder, q)
	}
	q.messages = append(q.messages, m)
	q.usage.add(size, 1)
	o.countMessage(m, 1)
	return true
}

// senderUsage returns the usage of the sender's address. The caller holds mu.
func (o *offlineStore) senderUsage(m waitingMessage) usage { return o.addrs[m.from.addrKey()] }

// countMessage counts a message in (sign 1) or out (sign -1) for its sender, its sender's address and the total. The caller
// holds mu.
func (o *offlineStore) countMessage(m waitingMessage, sign int) {
	size := len(m.frame)
	m.from.waiting.add(size, sign)
	o.total.add(size, sign)
	n := o.senderUsage(m)
	n.add(size, sign)
	if o.addrs[m.from.addrKey()] = n; n == (usage{}) {
		delete(o.addrs, m.from.addrKey())
	}
}

// takeMessages removes and returns the messages that wait for a client, in the order in which they arrived.
func (o *offlineStore) takeMessages(to fullName) []waitingMessage {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := o.queues[to]
	if q == nil {
		return nil
	}
	q.emptied = true
	o.metrics.delivered.Add(float64(len(q.messages)))
	return o.remove(q)
}

// remove removes a queue and returns its messages. The caller holds mu.
func (o *offlineStore) remove(q *recipientQueue) []waitingMessage {
	delete(o.queues, q.to)
	for _, m := range q.messages {
		o.countMessage(m, -1)
	}
	messages := q.messages
	q.messages = nil
	return messages
}

// startExpiring starts the goroutine that expires queues, unless it already runs. It returns false if the hub is shutting
// down. The hub waits for the goroutine. The caller holds mu.
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

// expire drops the queues that are due, notifies their senders, and returns how long to wait until the next one is due. It
// returns false if no queue is left; the goroutine that called it must then end.
func (o *offlineStore) expire(now time.Time) (wait time.Duration, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.expiryOrder) > 0 {
		q := o.expiryOrder[0]
		if !q.emptied {
			if wait = q.due.Sub(now); wait > 0 {
				return wait, true
			}
			o.sendExpired(q.to, o.remove(q))
		}
		o.expiryOrder[0] = nil
		o.expiryOrder = o.expiryOrder[1:]
	}
	o.expiryOrder, o.running = nil, false
	return 0, false
}

// sendExpired sends one EXPIRE to each sender of the messages.
func (o *offlineStore) sendExpired(to fullName, messages []waitingMessage) {
	o.metrics.expired.Add(float64(len(messages)))
	notified := make(map[*peer]bool)
	for _, m := range messages {
		if !notified[m.from] {
			notified[m.from] = true
			m.from.client.Send(expireFrame(to.id, m.from.id))
		}
	}
}

// clear drops all messages when the hub shuts down.
func (o *offlineStore) clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, q := range o.queues {
		o.remove(q)
	}
	o.expiryOrder, o.running = nil, false
}
