package streamio

import (
	"net"
	"sync"
	"time"

	"icebox/turnserver/packetio"
)

const (
	// QueueSize is how many bytes may wait in the queue for a slow client. Bytes that are being written do not count.
	QueueSize = 256 << 10
	// writeTimeout is how long a client may take to accept writeChunk bytes before its stream is closed.
	writeTimeout = 10 * time.Second
	writeChunk   = 32 << 10
	// flushTimeout is how long WaitFlushed waits for the last replies to be written.
	flushTimeout = time.Second
)

// Writer writes messages to the client of a stream without blocking the goroutines that send them. Its methods are safe
// for concurrent use.
type Writer struct {
	stream     net.Conn // conn, or TLS over it
	conn       *Conn
	goroutines *sync.WaitGroup

	mu        sync.Mutex
	queue     *[]byte // from writeBuffers; nil if no message waits
	scheduled bool    // a call of Flush is due
	writing   bool    // one goroutine at a time writes
	catchUp   func()  // the body of the goroutine for a slow client, made once
	closed    bool
	flushed   chan struct{} // closed when writing ends, if WaitFlushed waits
}

// writeBuffers holds buffers for queues and for writes in progress. Most streams have neither.
var writeBuffers = sync.Pool{New: func() any { return new([]byte) }}

// NewWriter returns a Writer to stream, which is conn or TLS over it. The goroutine for a slow client is counted in
// goroutines, so that the server's Close can wait for it.
func NewWriter(stream net.Conn, conn *Conn, goroutines *sync.WaitGroup) *Writer {
	return &Writer{stream: stream, conn: conn, goroutines: goroutines}
}

// Enqueue queues the payload of p. It returns false if the queue would be longer than limit bytes, or if the Writer is
// closed. If p has a batch, the payload is written when the batch is flushed, and otherwise at once.
func (w *Writer) Enqueue(p *packetio.Packet, limit int) bool {
	b := p.Payload()
	w.mu.Lock()
	if w.closed || w.queued()+len(b) > limit {
		w.mu.Unlock()
		return false
	}
	if w.queue == nil {
		w.queue = writeBuffers.Get().(*[]byte)
	}
	*w.queue = append(*w.queue, b...)
	first := !w.scheduled
	w.scheduled = true
	w.mu.Unlock()
	if first && !p.Defer(w) {
		w.Flush()
	}
	return true
}

// queued returns the length of the queue in bytes. The caller holds mu.
func (w *Writer) queued() int {
	if w.queue == nil {
		return 0
	}
	return len(*w.queue)
}

// Flush implements packetio.Flusher. If another goroutine is writing, that goroutine writes the queue too.
func (w *Writer) Flush() {
	w.mu.Lock()
	w.scheduled = false
	if w.writing {
		w.mu.Unlock()
		return
	}
	w.writing = true
	w.mu.Unlock()
	w.write()
}

// write writes the queue until it is empty, or starts a goroutine that continues.
func (w *Writer) write() {
	for batch := w.takeQueue(); batch != nil; batch = w.takeQueue() {
		_, err := w.stream.Write(*batch)
		*batch = (*batch)[:0]
		writeBuffers.Put(batch)
		if err != nil {
			_ = w.Close() // the goroutine that reads the stream gets the error too
		}
		if w.handOffToGoroutine() {
			return
		}
	}
}

// If the kernel did not accept everything, handOffToGoroutine starts a goroutine that continues writing. It reports
// whether it started one.
func (w *Writer) handOffToGoroutine() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || !w.conn.behind() {
		return false
	}
	if w.catchUp == nil {
		w.catchUp = func() {
			defer w.goroutines.Done()
			if err := w.conn.drain(); err != nil {
				_ = w.Close() // the goroutine that reads the stream gets the error too
			}
			w.write()
		}
	}
	w.goroutines.Add(1)
	go w.catchUp()
	return true
}

// takeQueue returns the queue and leaves an empty one. If nothing is queued it ends the writing and returns nil.
func (w *Writer) takeQueue() *[]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.queue == nil {
		w.writing = false
		if w.flushed != nil {
			close(w.flushed)
			w.flushed = nil
		}
		return nil
	}
	batch := w.queue
	w.queue = nil
	return batch
}

// WaitFlushed waits until everything queued is written, for one second at most. It is for a client that has closed its
// sending side and still reads the last replies.
func (w *Writer) WaitFlushed() {
	w.mu.Lock()
	if !w.writing {
		w.mu.Unlock()
		return
	}
	flushed := make(chan struct{})
	w.flushed = flushed
	w.mu.Unlock()
	timeout := time.NewTimer(flushTimeout)
	defer timeout.Stop()
	select {
	case <-flushed:
	case <-timeout.C:
	}
}

// Close drops the queue and closes the stream.
func (w *Writer) Close() error {
	w.mu.Lock()
	w.closed, w.queue = true, nil
	w.mu.Unlock()
	return w.stream.Close()
}
