package packetio

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lane is the sockets of one worker, and an epoll that tells which are ready. One
// loop at a time serves it: the one that is at home in it, or another one, in whose home it is
// nested. What the loop keeps in the sockets goes from one to the next by mu.
type lane struct {
	index   int
	epoll   int
	stopper int // an eventfd

	mu    sync.Mutex
	table []*socket // by slot; those of closed sockets are nil
	free  []int32   // slots
}

// Events that are not of a socket in a slot.
const (
	stopSlot   = -1 // of the stopper
	noSlot     = -2 // of a socket that is not read yet
	nestedSlot = -3 // of nested lane 0; those of the others are below
)

func newLane(index int) (*lane, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	stopper, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, stopper, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: stopSlot})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create eventfd: %w", err), unix.Close(epoll))
	}
	return &lane{index: index, epoll: epoll, stopper: stopper}, nil
}

// stop has whoever serves the lane end.
func (l *lane) stop() {
	one := [8]byte{1, 1, 1, 1, 1, 1, 1, 1} // any number but 0
	_, _ = unix.Write(l.stopper, one[:])   // fails only when it was written to before
}

func (l *lane) close() { _, _ = unix.Close(l.epoll), unix.Close(l.stopper) } // nothing is left in them

// nest has those who wait for l wait for the other lane too.
func (l *lane) nest(other *lane) error {
	other.mu.Lock() // whoever served it is done, and the next one sees that
	defer other.mu.Unlock()
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, other.epoll, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: nestedSlot - int32(other.index)})
}

// unnest undoes nest.
func (l *lane) unnest(other *lane) {
	other.mu.Lock()
	defer other.mu.Unlock()
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, other.epoll, nil) // it is there
}

// watch begins to read s.
func (l *lane) watch(s *socket) error {
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

// forget makes the slot of s free. Its last events may still come, and lead to nothing or to
// another socket that is found to have nothing.
func (l *lane) forget(s *socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.slot == noSlot {
		return
	}
	l.table[s.slot] = nil
	l.free = append(l.free, s.slot)
}

// sort appends the sockets that events tell of to ready, and the numbers of nested lanes that have some to
// nested. stop tells that the loops are to end.
func (l *lane) sort(events []unix.EpollEvent, ready []*socket, nested []int) (_ []*socket, _ []int, stop bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		switch {
		case e.Fd == stopSlot:
			stop = true
		case e.Fd <= nestedSlot:
			nested = append(nested, int(nestedSlot-e.Fd))
		case l.table[e.Fd] != nil:
			ready = append(ready, l.table[e.Fd])
		}
	}
	return ready, nested, stop
}

// poll waits for events up to timeout milliseconds, for ever if it is -1. Errors are EINTR.
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
