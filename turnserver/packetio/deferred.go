package packetio

import "sync"

// Flusher has data that waits to be sent.
type Flusher interface{ Flush() }

// deferred is the list of Flushers that a batch flushes.
type deferred struct {
	flushers []Flusher
}

// flushDeferred calls all Flushers, including those that are added during the call.
func (l *deferred) flushDeferred() {
	for i := 0; i < len(l.flushers); i++ {
		l.flushers[i].Flush()
	}
	clear(l.flushers)
	l.flushers = l.flushers[:0]
}

var batches = sync.Pool{New: func() any {
	b := new(Batch)
	b.init()
	return b
}}

// Borrow returns an empty batch for a goroutine that reads packets outside of a loop.
func Borrow() *Batch { return batches.Get().(*Batch) }

// Return flushes a borrowed batch and returns it to the pool. On nil it does nothing.
func (b *Batch) Return() {
	if b != nil {
		b.Flush()
		batches.Put(b)
	}
}
