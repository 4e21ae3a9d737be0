package engine

import "iter"

// handoff passes control between the goroutine that makes a request and Pion's goroutine. One of them waits while the other
// runs.
//
// Channels would do the same. But the scheduler treats a wake-up through a channel as a chance to run in parallel, and wakes
// an idle thread that then finds nothing to do. On a server with a low load that costs more than the request itself. A
// coroutine switch does not involve the scheduler.
//
// The coroutine is the body of an iterator. It lends its yield function to Pion's goroutine and waits until the end.
type handoff struct {
	next  func() (struct{}, bool)
	stop  func()
	lent  chan func(struct{}) bool
	yield func(struct{}) bool // used by Pion's goroutine alone
	ended chan struct{}
}

func newHandoff() *handoff {
	h := &handoff{lent: make(chan func(struct{}) bool), ended: make(chan struct{})}
	h.next, h.stop = iter.Pull(func(yield func(struct{}) bool) {
		h.lent <- yield
		<-h.ended
	})
	return h
}

// resumePion runs Pion's goroutine until it calls yieldToCaller. One goroutine at a time may call it.
func (h *handoff) resumePion() { h.next() }

// yieldToCaller blocks Pion's goroutine until the next request. It returns false after end.
func (h *handoff) yieldToCaller() bool {
	if h.yield == nil {
		h.yield = <-h.lent
	}
	if h.yield(struct{}{}) {
		return true
	}
	close(h.ended)
	return false
}

// end makes yieldToCaller return false. It must not be called again after that.
func (h *handoff) end() { h.stop() }
