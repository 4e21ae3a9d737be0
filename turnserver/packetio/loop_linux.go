package packetio

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// maxEvents is how many sockets are taken from an epoll at once.
const maxEvents = 256

const (
	// restFor is the shortest time between two wake-ups of a busy loop; the kernel
	// adds up to as much again. Packets wait for others, for fewer wake-ups and longer runs.
	restFor = 50 * time.Microsecond
	// busyRounds is how long a loop counts as busy after it has read several datagrams in one
	// round. One that reads them singly, from ends that wait for each other's answers, never rests.
	busyRounds = 8
)

// loops are the event loops, started when the first socket comes.
type loops struct {
	workers int
	running sync.WaitGroup

	mu     sync.Mutex
	loops  []*loop
	closed bool
}

// New returns the loops that are best for this system, with one goroutine for each worker.
func New(workers int) Loops {
	return &loops{workers: max(workers, 1)}
}

func (l *loops) Workers() int { return l.workers }

// at returns the loop of a worker.
func (l *loops) at(worker int) (*loop, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, net.ErrClosed
	}
	for len(l.loops) < l.workers {
		x, err := newLoop(len(l.loops))
		if err != nil {
			return nil, err
		}
		l.loops = append(l.loops, x)
		l.running.Go(x.run)
	}
	return l.loops[worker%l.workers], nil
}

func (l *loops) Serve(c *net.UDPConn, worker, longest int, r Receiver) (Socket, error) {
	local := unmapped(c.LocalAddr().(*net.UDPAddr).AddrPort())
	fd, err := take(c)
	if err != nil {
		return nil, err
	}
	return l.serve(fd, local, worker, longest, r)
}

func (l *loops) Listen(addr netip.AddrPort, worker, longest int, r Receiver) (Socket, error) {
	fd, local, err := open(addr)
	if err != nil {
		return nil, err
	}
	return l.serve(fd, local, worker, longest, r)
}

func (l *loops) serve(fd int, local netip.AddrPort, worker, longest int, r Receiver) (Socket, error) {
	x, err := l.at(worker)
	if err == nil {
		s := &socket{loop: x, receiver: r, local: local, fd: fd, longest: longest, slot: noSlot, expect: 1}
		s.uses.Store(1)
		_ = unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1) // without it each datagram comes alone
		return s, nil
	}
	_ = unix.Close(fd) // it was never used
	return nil, err
}

// Close implements Loops.
func (l *loops) Close() {
	l.mu.Lock()
	l.closed = true
	for _, x := range l.loops {
		x.stop()
	}
	l.mu.Unlock()
	l.running.Wait()
}

// loop is one event loop.
type loop struct {
	index   int
	epoll   int
	stopper int // an eventfd

	mu    sync.Mutex
	table []*socket // by slot; those of closed sockets are nil
	free  []int32   // slots

	// Owned by the goroutine.
	events [maxEvents]unix.EpollEvent
	ready  []*socket
	in     inbox
	out    Batch
	woken  time.Time
	busy   int // rounds
}

const (
	stopSlot = -1 // of the stopper
	noSlot   = -2 // of a socket that is not read yet
)

func newLoop(index int) (*loop, error) {
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
	l := &loop{index: index, epoll: epoll, stopper: stopper, ready: make([]*socket, 0, maxEvents)}
	l.in.init()
	l.out.init()
	return l, nil
}

func (l *loop) stop() {
	one := [8]byte{1, 1, 1, 1, 1, 1, 1, 1} // any number but 0
	_, _ = unix.Write(l.stopper, one[:])   // fails only when it was written to before
}

// watch begins to read s.
func (l *loop) watch(s *socket) error {
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
func (l *loop) forget(s *socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.slot == noSlot {
		return
	}
	l.table[s.slot] = nil
	l.free = append(l.free, s.slot)
}

func (l *loop) run() {
	for l.wait() {
		for _, s := range l.ready {
			l.in.take(s, &l.out)
			if l.in.full() {
				l.out.Flush()
				l.in.reset()
			}
		}
		l.out.Flush()
		l.in.reset()
	}
	_, _ = unix.Close(l.epoll), unix.Close(l.stopper) // nothing is left in them
}

// wait waits for sockets to become ready; false if the loop is to stop.
func (l *loop) wait() bool {
	l.rest()
	n, err := unix.EpollWait(l.epoll, l.events[:], -1)
	if err != nil { // EINTR
		n = 0
	}
	l.woken = time.Now()
	clear(l.ready)
	l.ready = l.ready[:0]
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events[:n] {
		if e.Fd == stopSlot {
			return false
		}
		if s := l.table[e.Fd]; s != nil {
			l.ready = append(l.ready, s)
		}
	}
	return true
}

// rest sleeps until restFor has passed since the last wake-up of a busy loop.
func (l *loop) rest() {
	if l.in.read > 1 {
		l.busy = busyRounds
	}
	l.in.read = 0
	if l.busy == 0 {
		return
	}
	l.busy--
	if left := restFor - time.Since(l.woken); left > restFor/10 {
		t := unix.NsecToTimespec(int64(left))
		_ = unix.Nanosleep(&t, nil) // EINTR: the rest is shorter
	}
}
