package signal

import (
	"time"

	"icebox/signal/broker"
)

type itemKind uint8

const (
	dataFrame itemKind = iota
	pingFrame
	goodbye
)

// item is something to write. From is the client it comes from, zero for the hub itself.
type item struct {
	kind itemKind
	from broker.ID
	data []byte
}

// queue holds what waits for one client's connection, the frame being written included.
type queue struct {
	items    []item
	head     int
	bytes    int // of data, until written
	pings    int
	flushing bool // a goroutine is writing
}

// spare is how many items' room an empty queue keeps.
const spare = 4

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
		if cap(q.items) > spare {
			q.items = nil
		}
	}
	if i.kind == pingFrame {
		q.pings--
	}
	return i, true
}

func (q *queue) wrote(i item) { q.bytes = max(0, q.bytes-len(i.data)) }

func (q *queue) clear() {
	q.items, q.head, q.bytes, q.pings = nil, 0, 0, 0
}

// full reports whether data of this size finds no room.
func (q *queue) full(size int, l *Limits) bool {
	return q.len() >= l.QueueMessages || q.bytes > 0 && q.bytes+size > l.QueueBytes
}

// crowded reports whether one sender already fills a quarter of the queue.
func (q *queue) crowded(from broker.ID, l *Limits) bool {
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
	case c.state != open:
		c.mu.Unlock()
		return broker.ErrOffline
	case !i.from.IsZero() && c.queue.crowded(i.from, l):
		c.mu.Unlock()
		return broker.ErrBusy
	case c.queue.full(len(i.data), l):
		c.mu.Unlock()
		c.End(SlowReader)
		return broker.ErrOffline
	}
	c.queue.push(i)
	c.startFlush()
	c.mu.Unlock()
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

// flush writes until the queue is empty.
func (c *Client) flush() {
	for {
		c.mu.Lock()
		i, ok := c.queue.next()
		if !ok {
			c.queue.flushing = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		if err := c.write(i); err != nil {
			c.End(WriteFailed)
		}
		c.mu.Lock()
		c.queue.wrote(i)
		c.mu.Unlock()
	}
}

func (c *Client) write(i item) error {
	deadline := time.Now().Add(c.hub.opts.WriteWait)
	switch i.kind {
	case pingFrame:
		c.notePing()
		return c.conn.Ping(deadline)
	case goodbye:
		c.mu.Lock()
		why := c.reason
		c.mu.Unlock()
		c.conn.Close(why)
		return nil
	default:
		return c.conn.Write(i.data, deadline)
	}
}
