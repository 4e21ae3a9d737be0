package signal

import (
	"sync"
	"time"

	"icebox/signal/broker"
)

type itemKind uint8

const (
	dataFrame itemKind = iota
	pingFrame
	closeFrame
)

// item is something to write. From is the client it comes from, zero for the hub itself.
type item struct {
	kind itemKind
	from broker.ID
	data []byte
	buf  *[]byte // what data is in, if it is to be used again
}

// frameBuffers are for the frames of messages from client to client, most of which are written at once.
var frameBuffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooledBuffer is the largest room that is used again.
const maxPooledBuffer = 16 << 10

func (i *item) recycle() {
	if i.buf != nil && cap(*i.buf) <= maxPooledBuffer {
		frameBuffers.Put(i.buf)
	}
}

// queue holds what waits for one client's connection, the frame being written included.
type queue struct {
	items    []item
	head     int
	bytes    int // of data, until written
	reserved Reservation
	pings    int
	flushing bool // a goroutine is writing
}

// spareItems is how many items' room an empty queue keeps.
const spareItems = 4

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) push(i item) {
	q.items = append(q.items, i)
	q.bytes += len(i.data)
	if i.kind == pingFrame {
		q.pings++
	}
}

// next takes out the first item; its bytes stay counted until wrote.
func (q *queue) next() (item, bool) {
	if q.len() == 0 {
		return item{}, false
	}
	i := q.items[q.head]
	q.items[q.head] = item{}
	q.head++
	if q.len() == 0 {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > spareItems {
			q.items = nil
		}
	}
	if i.kind == pingFrame {
		q.pings--
	}
	return i, true
}

func (q *queue) markWritten(i item) { q.bytes = max(0, q.bytes-len(i.data)) }

func (q *queue) clear() {
	q.items, q.head, q.bytes, q.pings = nil, 0, 0, 0
}

// updateReservation gives back what was borrowed for more than there is now. The caller holds mu.
func (c *Client) updateReservation() { c.Reserve(&c.queue.reserved, c.queue.bytes) }

// full reports whether data of this size finds no room.
func (q *queue) full(size int, l *Limits) bool {
	return q.len() >= l.QueueMessages || q.bytes > 0 && q.bytes+size > l.QueueBytes
}

// exceedsSenderShare reports whether one sender already fills a quarter of the queue.
func (q *queue) exceedsSenderShare(from broker.ID, l *Limits) bool {
	if q.len() < l.QueueMessages/4 && q.bytes < l.QueueBytes/4 {
		return false
	}
	messages, size := 0, 0
	for _, i := range q.items[q.head:] {
		if i.from == from {
			messages++
			size += len(i.data)
		}
	}
	return messages >= l.QueueMessages/4 || size >= l.QueueBytes/4
}

// Send queues a frame from the hub or the protocol itself for the client. It never blocks. Any goroutine may
// call it.
func (c *Client) Send(frame []byte) { _ = c.enqueue(item{data: frame}) }

// enqueue appends to the queue, or applies the policy when it is full: the client is cut off.
func (c *Client) enqueue(i item) error {
	l := c.hub.Limits()
	c.mu.Lock()
	switch {
	case c.state != stateOpen:
		c.mu.Unlock()
		return broker.ErrOffline
	case !i.from.IsZero() && c.queue.exceedsSenderShare(i.from, l):
		c.mu.Unlock()
		return broker.ErrBusy
	case c.queue.full(len(i.data), l):
		c.mu.Unlock()
		c.End(SlowReader)
		return broker.ErrOffline
	case !c.Reserve(&c.queue.reserved, c.queue.bytes+len(i.data)):
		senderCanRetry := c.queue.bytes <= uncountedBytes && !i.from.IsZero() // others have borrowed it all, and the sender can be told
		c.mu.Unlock()
		if senderCanRetry {
			return broker.ErrBusy
		}
		c.End(SlowReader)
		return broker.ErrOffline
	}
	c.queue.push(i)
	claimed := c.claimFlush()
	c.mu.Unlock()
	if claimed {
		c.flushInline()
	}
	return nil
}

// startFlush sees to it that somebody writes the queue. The caller holds mu, and the client isn't closed.
func (c *Client) startFlush() {
	if c.queue.flushing {
		return
	}
	c.queue.flushing = true
	c.flushes.Go(c.flush)
}

// claimFlush is startFlush for who can call flushInline afterwards, if it returns true.
func (c *Client) claimFlush() (claimed bool) {
	if c.nonblocking == nil || c.queue.flushing {
		c.startFlush()
		return false
	}
	c.queue.flushing = true
	c.flushes.Add(1)
	return true
}

// flush writes until the queue is empty.
func (c *Client) flush() {
	for i, ok := c.nextItem(); ok; i, ok = c.nextItem() {
		c.flushOne(i)
	}
}

func (c *Client) flushOne(i item) {
	if err := c.write(i); err != nil {
		c.End(WriteFailed)
	}
	c.finishItem(i)
}

// nextItem takes the next item out of the queue. If there is none its caller flushes no longer.
func (c *Client) nextItem() (i item, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok = c.queue.next()
	c.queue.flushing = ok
	return i, ok
}

func (c *Client) finishItem(i item) {
	c.mu.Lock()
	c.queue.markWritten(i)
	c.updateReservation()
	c.mu.Unlock()
	i.recycle()
}

// maxInlineFrames is how many frames one caller of flushInline writes, who has other things to do.
const maxInlineFrames = 16

// flushInline writes what can be written at once, in the caller's goroutine: starting one for every message would
// cost more than the message. The rest is written as by flush.
func (c *Client) flushInline() {
	defer c.flushes.Done()
	for range maxInlineFrames {
		i, ok := c.nextItem()
		if !ok {
			return
		}
		done, err := c.tryWrite(i)
		if err != nil {
			c.End(WriteFailed)
		} else if !done {
			c.flushes.Go(func() {
				c.flushOne(i)
				c.flush()
			})
			return
		}
		c.finishItem(i)
	}
	c.flushes.Go(c.flush)
}

func (c *Client) tryWrite(i item) (done bool, err error) {
	switch i.kind {
	case pingFrame:
		c.notePing()
		return c.nonblocking.TryPing()
	case dataFrame:
		return c.nonblocking.TryWrite(i.data)
	default:
		return false, nil
	}
}

func (c *Client) write(i item) error {
	deadline := time.Now().Add(c.hub.opts.WriteWait)
	switch i.kind {
	case pingFrame:
		c.notePing()
		return c.conn.Ping(deadline)
	case closeFrame:
		c.mu.Lock()
		why := c.reason
		c.mu.Unlock()
		c.conn.Close(why)
		return nil
	default:
		return c.conn.Write(i.data, deadline)
	}
}
