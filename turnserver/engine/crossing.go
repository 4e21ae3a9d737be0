package engine

import "iter"

// crossing passes control between whoever makes a request and Pion's goroutine, of
// which one waits while the other works. Channels would do, but the scheduler takes each hand-over
// for a chance to work in parallel, and wakes an idle thread that finds nothing: on a server with
// little else to do that costs more than the request. A coroutine switch does not ask it.
//
// The coroutine is that of an iterator which lends its yield to Pion's goroutine and waits for the end.
type crossing struct {
	next  func() (struct{}, bool)
	stop  func()
	lent  chan func(struct{}) bool
	yield func(struct{}) bool // owned by Pion's goroutine
	ended chan struct{}
}

func newCrossing() *crossing {
	c := &crossing{lent: make(chan func(struct{}) bool), ended: make(chan struct{})}
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.lent <- yield
		<-c.ended
	})
	return c
}

// over lets Pion's goroutine work until it comes back. One goroutine at a time may call it.
func (c *crossing) over() { c.next() }

// back is called by Pion's goroutine: it waits for the next request, or returns false at the end.
func (c *crossing) back() bool {
	if c.yield == nil {
		c.yield = <-c.lent
	}
	if c.yield(struct{}{}) {
		return true
	}
	close(c.ended)
	return false
}

// end has back return false, which is not called again.
func (c *crossing) end() { c.stop() }
