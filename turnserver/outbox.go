package turnserver

import (
	"net"
	"sync"
	"time"

	"icebox/turnserver/packetio"
)

const (
	// outboxSize is how many bytes may wait for a slow stream, beside those being written.
	outboxSize = 256 << 10
	// strangersOutbox is the same before there is an allocation: a hundred answers.
	strangersOutbox = 8 << 10
	// writeTimeout is how long a client may take for writeChunk bytes before the stream is closed.
	writeTimeout = 10 * time.Second
	writeChunk   = 32 << 10
	// flushTimeout is how long a stream that has ended waits for its last answers to be written.
	flushTimeout = time.Second
)

// outbox carries messages to a stream without making their senders wait. What is sent
// in one round of a loop is written at its end, by the loop itself; only what the kernel does not
// take then is left to a goroutine, as long as there is any. A message that does not fit is lost, whole.
type outbox struct {
	server *Server
	conn   net.Conn // sink, or TLS over it
	sink   *sink

	mu      sync.Mutex
	waiting *[]byte // of outboxBuffers, nil if nothing waits
	due     bool    // somebody will call Flush
	writing bool
	work    func() // of the goroutine, made once
	closed  bool
	flushed chan struct{} // closed when writing ends, if somebody waits for it
}

// outboxBuffers are what waits and what is being written is in: most streams have nothing of either.
var outboxBuffers = sync.Pool{New: func() any { return new([]byte) }}

// put queues the payload of p, if no more than limit bytes wait with it, and tells whether it was taken.
func (o *outbox) put(p *packetio.Packet, limit int) bool {
	b := p.Payload()
	o.mu.Lock()
	if o.closed || o.size()+len(b) > limit {
		o.mu.Unlock()
		return false
	}
	if o.waiting == nil {
		o.waiting = outboxBuffers.Get().(*[]byte)
	}
	*o.waiting = append(*o.waiting, b...)
	first := !o.due
	o.due = true
	o.mu.Unlock()
	if first && !p.Later(o) {
		o.Flush()
	}
	return true
}

// size is how many bytes wait. The caller holds mu.
func (o *outbox) size() int {
	if o.waiting == nil {
		return 0
	}
	return len(*o.waiting)
}

// Flush implements packetio.Flusher.
func (o *outbox) Flush() {
	o.mu.Lock()
	o.due = false
	if o.writing { // whoever writes goes on until nothing waits
		o.mu.Unlock()
		return
	}
	o.writing = true
	o.mu.Unlock()
	o.write()
}

// write empties the outbox, or leaves that to a goroutine.
func (o *outbox) write() {
	for batch := o.next(); batch != nil; batch = o.next() {
		_, err := o.conn.Write(*batch)
		*batch = (*batch)[:0]
		outboxBuffers.Put(batch)
		if err != nil {
			_ = o.close() // the reader notices
		}
		if o.goOn() {
			return
		}
	}
}

// goOn starts the goroutine that writes on, if the kernel did not take all of what was written.
func (o *outbox) goOn() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || !o.sink.behind() {
		return false
	}
	if o.work == nil {
		o.work = func() {
			defer o.server.readers.Done()
			if err := o.sink.drain(); err != nil {
				_ = o.close() // as above
			}
			o.write()
		}
	}
	o.server.readers.Add(1)
	go o.work()
	return true
}

// next takes what is waiting; nil ends the writing.
func (o *outbox) next() *[]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.waiting == nil {
		o.writing = false
		if o.flushed != nil {
			close(o.flushed)
			o.flushed = nil
		}
		return nil
	}
	batch := o.waiting
	o.waiting = nil
	return batch
}

// flush waits for a moment until what was queued is written, for a client that has
// said its last word and still listens.
func (o *outbox) flush() {
	o.mu.Lock()
	if !o.writing {
		o.mu.Unlock()
		return
	}
	flushed := make(chan struct{})
	o.flushed = flushed
	o.mu.Unlock()
	timeout := time.NewTimer(flushTimeout)
	defer timeout.Stop()
	select {
	case <-flushed:
	case <-timeout.C:
	}
}

// close closes the stream; nothing is queued any more.
func (o *outbox) close() error {
	o.mu.Lock()
	o.closed, o.waiting = true, nil
	o.mu.Unlock()
	return o.conn.Close()
}
