package turnserver

import (
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// outboxSize is how many bytes may wait for a slow stream, beside those being written.
	outboxSize = 256 << 10
	// strangersOutbox is the same before there is an allocation: a hundred answers.
	strangersOutbox = 8 << 10
	// outboxKeep is the longest buffer kept for the next time.
	outboxKeep = 16 << 10
	// writeTimeout is how long a client may take for writeChunk bytes before the stream is closed.
	writeTimeout = 10 * time.Second
	writeChunk   = 32 << 10
	// flushTimeout is how long a stream that has ended waits for its last answers to be written.
	flushTimeout = time.Second
)

// outbox carries messages to a stream without making their senders wait. While
// something is to be written a goroutine writes it, all that has come together at once; an idle
// stream has none. A message that does not fit is lost, whole.
type outbox struct {
	server *Server
	conn   net.Conn

	mu      sync.Mutex
	waiting []byte
	spare   []byte // the buffer that waiting does not use
	writing bool
	closed  bool
	flushed chan struct{} // closed when writing ends, if somebody waits for it
}

// put queues one message, if no more than limit bytes wait with it, and tells whether it was taken. b is copied.
func (o *outbox) put(b []byte, limit int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || len(o.waiting)+len(b) > limit {
		return false
	}
	o.waiting = append(o.waiting, b...)
	if !o.writing {
		o.writing = true
		o.server.readers.Go(o.write)
	}
	return true
}

// write empties the outbox.
func (o *outbox) write() {
	for {
		batch := o.next()
		if batch == nil {
			return
		}
		for chunk := range slices.Chunk(batch, writeChunk) {
			err := o.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
			if err == nil {
				_, err = o.conn.Write(chunk)
			}
			if err != nil {
				_ = o.close() // the reader notices
				break
			}
		}
		if cap(batch) <= outboxKeep {
			o.mu.Lock()
			o.spare = batch[:0]
			o.mu.Unlock()
		}
	}
}

// next takes what is waiting; nil ends the writer.
func (o *outbox) next() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || len(o.waiting) == 0 {
		o.writing = false
		if o.flushed != nil {
			close(o.flushed)
			o.flushed = nil
		}
		return nil
	}
	batch := o.waiting
	o.waiting, o.spare = o.spare, nil
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
	o.closed, o.waiting, o.spare = true, nil, nil
	o.mu.Unlock()
	return o.conn.Close()
}
