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

// item is a frame to be written to the client's connection.
type item struct {
	kind itemKind
	from broker.ID // the client that caused the frame; zero for the hub itself
	data []byte
	buf  *[]byte // buffer of frameBuffers that contains data, or nil
}

// frameBuffers are reused for messages from client to client, most of which are written at once.
var frameBuffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooledBuffer is the capacity in bytes of the largest buffer that is reused.
const maxPooledBuffer = 16 << 10

func (i *item) recycle() {
	if i.buf != nil && cap(*i.buf) <= maxPooledBuffer {
		frameBuffers.Put(i.buf)
	}
}

// queue holds the frames that wait to be written to one client. The client's mu guards it.
type queue struct {
	items    []item
	head     int // index of the first item
	bytes    int // of data in the queue and in the frame that is being written
	reserved Reservation
	pings    int  // number of items that are pings
	flushing bool // a goroutine is writing
}

// spareItems is the capacity that an empty queue keeps, in items.
const spareItems = 4

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) push(i item) {
	q.items = append(q.items, i)
	q.bytes += len(i.data)
	if i.kind == pingFrame {
		q.pings++
	}
}

// next removes the first item. Its bytes stay counted until markWritten.
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

// updateReservation releases reserved memory that the queue no longer needs. The caller holds mu.
func (c *Client) updateReservation() { c.Reserve(&c.queue.reserved, c.queue.bytes) }

// full reports whether the queue has no room for size more bytes. An empty queue accepts one item of any size.
func (q *queue) full(size int, l *Limits) bool {
	return q.len() >= l.QueueMessages || q.bytes > 0 && q.bytes+size > l.QueueBytes
}

// exceedsSenderShare reports whether frames caused by one client already fill a quarter of the queue.
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

// Send queues a frame from the hub or the protocol itself. For a frame that another client caused, use Forward. It never
// blocks. Any goroutine may call it.
func (c *Client) Send(frame []byte) { _ = c.enqueue(item{data: frame}) }

// Forward queues a frame that another client caused. While the frame waits, it counts towards the share of the queue that
// one sender may fill. Forward never blocks. Any goroutine may call it. The error is an *Error.
func (c *Client) Forward(from broker.ID, frame []byte) error {
	if err := c.enqueue(item{from: from, data: frame}); err != nil {
		return toRefusal(err)
	}
	return nil
}

// enqueue appends an item to the queue and makes sure that it will be written. It ends the client as a slow reader if the
// queue is full. It returns ErrBusy if only this sender, or all clients together, have too much waiting.
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
		// Other clients use the memory. A client with few waiting bytes is not at fault, so its sender, if there is one,
		// gets ErrBusy.
		senderCanRetry := c.queue.bytes <= uncountedBytes && !i.from.IsZero()
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

// startFlush starts a goroutine that writes the queue, unless one is running. The caller holds mu. The client is not closed.
func (c *Client) startFlush() {
	if c.queue.flushing {
		return
	}
	c.queue.flushing = true
	c.flushes.Go(c.flush)
}

// claimFlush marks the queue as being written, and reports whether the caller must write it: it must then call flushInline
// after unlocking mu. If another goroutine writes the queue already, or if the connection cannot write without blocking,
// claimFlush does what startFlush does and returns false. The caller holds mu.
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

// nextItem removes the first item of the queue. If the queue is empty, the caller no longer writes it, and another
// goroutine may.
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

// maxInlineFrames limits how many frames one call of flushInline writes, because its caller has other work to do.
const maxInlineFrames = 16

// flushInline writes in the caller's goroutine as much as it can without blocking, because starting a goroutine for every
// message would cost more than writing the message. It leaves the rest to a goroutine that calls flush.
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
