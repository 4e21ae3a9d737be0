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
	// outboxKeep is the longest buffer kept for the next time.
	outboxKeep = 16 << 10
	// writeTimeout is how long a client may take for writeChunk bytes before the stream is closed.
	writeTimeout = 10 * time.Second
	writeChunk   = 32 << 10
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
}

// put queues one message and tells whether it was taken. b is copied.
func (o *outbox) put(b []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || len(o.waiting)+len(b) > outboxSize {
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
				return
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
		return nil
	}
	batch := o.waiting
	o.waiting, o.spare = o.spare, nil
	return batch
}

// close closes the stream; nothing is queued any more.
func (o *outbox) close() error {
	o.mu.Lock()
	o.closed, o.waiting, o.spare = true, nil, nil
	o.mu.Unlock()
	return o.conn.Close()
}
