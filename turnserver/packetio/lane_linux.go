package packetio

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lane is the sockets of one worker and an epoll that reports which are readable. One loop at a time serves it: the loop
// with the same index, or a loop in whose own epoll this one is nested. State that a loop keeps in the sockets passes to
// the next loop under mu.
type lane struct {
	index int
	epoll int
	waker int // an eventfd; a write to it wakes the loop that serves the lane

	mu     sync.Mutex
	table  []*socket     // by slot; nil for free slots
	free   []int32       // free slots
	ending bool          // the loops have to end
	closed bool          // epoll and waker are closed
	passed chan struct{} // closed when the loop has seen a wake-up; nil while no call of check waits
}

// Numbers in the place of a slot in epoll events, and in socket.slot.
const (
	wakerSlot  = -1 // the waker
	noSlot     = -2 // a socket that is not registered yet
	nestedSlot = -3 // nested lane 0; lane n is nestedSlot-n
)

func newLane(index int) (*lane, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	waker, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, waker, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakerSlot})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create eventfd: %w", err), unix.Close(epoll))
	}
	return &lane{index: index, epoll: epoll, waker: waker}, nil
}

// stop ends the loop that serves the lane.
func (l *lane) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending = true
	l.wake()
}

// wake makes the current or next poll of the lane return. The caller holds mu.
func (l *lane) wake() {
	one := [8]byte{7: 1, 0: 1}         // a number above 0 in either byte order
	_, _ = unix.Write(l.waker, one[:]) // fails only after many wake-ups that the loop has not seen yet; it will see those
}

// check wakes the loop that serves the lane and waits until the loop has seen the wake-up. It returns ErrStuck if ctx
// ends first, and nil if the lane is closed.
func (l *lane) check(ctx context.Context) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	if l.passed == nil {
		l.passed = make(chan struct{})
	}
	passed := l.passed
	l.wake()
	l.mu.Unlock()
	select {
	case <-passed:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-passed: // both channels were ready
		return nil
	default:
		return ErrStuck
	}
}

// woken handles an event of the waker and reports whether the loops have to end. In that case the event stays, so that each
// further poll finds it too. The caller holds mu.
func (l *lane) woken() (end bool) {
	l.release()
	if !l.ending {
		var count [8]byte
		_, _ = unix.Read(l.waker, count[:]) // resets the event
	}
	return l.ending
}

// release ends all waits in check. The caller holds mu.
func (l *lane) release() {
	if l.passed != nil {
		close(l.passed)
		l.passed = nil
	}
}

// close closes the lane. No socket is registered any more.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.release()
	_, _ = unix.Close(l.epoll), unix.Close(l.waker) // nothing is lost
}

// nest makes a loop that waits for l wait for the other lane too.
func (l *lane) nest(other *lane) error {
	other.mu.Lock() // its state passes from the loop that served it to the next one
	defer other.mu.Unlock()
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, other.epoll, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: nestedSlot - int32(other.index)})
}

// unnest undoes nest.
func (l *lane) unnest(other *lane) {
	other.mu.Lock()
	defer other.mu.Unlock()
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, other.epoll, nil) // it is nested, so this does not fail
}

// register gives s a slot and starts reading it.
func (l *lane) register(s *socket) error {
	l.mu.Lock()
	if n := len(l.free); n > 0 {
		s.slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		s.slot = int32(len(l.table))
		l.table = append(l.table, nil)
	}
	l.table[s.slot] = s
	l.mu.Unlock()
	err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: s.slot})
	if err != nil {
		return fmt.Errorf("add to epoll: %w", err)
	}
	return nil
}

// unregister frees the slot of s. An event of s that is still pending then finds no socket, or another socket that turns out
// to have nothing to read.
func (l *lane) unregister(s *socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.slot == noSlot {
		return
	}
	l.table[s.slot] = nil
	l.free = append(l.free, s.slot)
}

// classify appends readable sockets to ready, and the indexes of nested lanes with readable sockets to nested. stop is
// true if the loops have to end.
func (l *lane) classify(events []unix.EpollEvent, ready []*socket, nested []int) (_ []*socket, _ []int, stop bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		switch {
		case e.Fd == wakerSlot:
			stop = l.woken() || stop
		case e.Fd <= nestedSlot:
			nested = append(nested, int(nestedSlot-e.Fd))
		case l.table[e.Fd] != nil:
			ready = append(ready, l.table[e.Fd])
		}
	}
	return ready, nested, stop
}

// poll returns the number of events. It blocks for up to timeout milliseconds, or without limit if timeout is -1. An error,
// which can only be EINTR, counts as no events. A timeout of 0 does not enter the scheduler.
func (l *lane) poll(timeout int, events []unix.EpollEvent) int {
	if timeout != 0 {
		n, err := unix.EpollWait(l.epoll, events, timeout)
		if err != nil {
			return 0
		}
		return n
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}
