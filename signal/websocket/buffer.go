package websocket

import "sync"

// buffer holds the bytes of one read. The poller has one buffer for all its connections. Each other reading goroutine has
// its own.
type buffer struct{ data [16 << 10]byte }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func newBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) release() { buffers.Put(b) }
