package packetio

import "sync"

// Flusher has something to send that was put off.
type Flusher interface{ Flush() }

// later are the flushers of a batch.
type later struct {
	flushers []Flusher
}

// flushLater flushes what was put off.
func (l *later) flushLater() {
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

// Borrow returns an empty batch, for a reader of its own.
func Borrow() *Batch { return batches.Get().(*Batch) }

// Return flushes a batch that was borrowed and gives it back. nil is none.
func (b *Batch) Return() {
	if b != nil {
		b.Flush()
		batches.Put(b)
	}
}
