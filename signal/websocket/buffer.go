package websocket

import "sync"

// buffer is what bytes are read into.
type buffer struct{ b [16 << 10]byte }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func newBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) release() { buffers.Put(b) }
