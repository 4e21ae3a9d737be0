package packetio

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// loops implements Loops. The goroutines start when the first socket is added.
type loops struct {
	workers int
	policy  scalePolicy
	running sync.WaitGroup
	epoch   time.Time

	mu     sync.Mutex // held while lanes change loops
	loops  []*loop    // by index; the home lane of loop i is lane i
	closed bool
}

// New returns the fastest Loops for this system, with one lane for each worker.
func New(workers int) Loops {
	return &loops{workers: max(workers, 1), policy: defaultPolicy, epoch: time.Now()}
}

func (l *loops) Workers() int { return l.workers }

// lane returns the lane of a worker.
func (l *loops) lane(worker int) (*lane, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, net.ErrClosed
	}
	if l.loops == nil {
		if err := l.create(); err != nil {
			return nil, err
		}
		for _, x := range l.loops {
			l.running.Go(x.run)
		}
	}
	return l.loops[worker%l.workers].home, nil
}

// create creates all loops. The first one serves all lanes. The caller holds mu.
func (l *loops) create() error {
	made := make([]*loop, l.workers)
	for i := range made {
		x, err := newLoop(l, i)
		if err == nil && i > 0 {
			err = made[0].home.nest(x.home)
		}
		if err != nil {
			for _, x := range made[:i] {
				x.home.close()
			}
			return err
		}
		made[i] = x
	}
	made[0].end = len(made)
	l.loops = made
	return nil
}

func (l *loops) Serve(c *net.UDPConn, worker, longest int, r Receiver) (Socket, error) {
	local := unmapped(c.LocalAddr().(*net.UDPAddr).AddrPort())
	fd, err := takeDescriptor(c)
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
	x, err := l.lane(worker)
	if err == nil {
		s := &socket{lane: x, receiver: r, local: local, fd: fd, longest: longest, slot: noSlot, expect: 1}
		s.uses.Store(1)
		_ = unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1) // without it the kernel never coalesces datagrams
		return s, nil
	}
	_ = unix.Close(fd) // it was never used
	return nil, err
}

// Check implements Loops. It wakes each lane, because a loop polls all its lanes in every round. A lane that changes
// loops meanwhile keeps its wake-up.
func (l *loops) Check(ctx context.Context) error {
	l.mu.Lock()
	all := l.loops
	l.mu.Unlock()
	for _, x := range all {
		if err := x.home.check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close implements Loops.
func (l *loops) Close() {
	l.mu.Lock()
	l.closed = true
	for _, x := range l.loops {
		close(x.woken)
		x.home.stop()
	}
	l.mu.Unlock()
	l.running.Wait()
	for _, x := range l.loops {
		x.home.close()
	}
}

// split gives the upper half of the lanes of x to the loop whose own lane is the first of them, and reports whether it did.
// x calls it between two rounds.
func (l *loops) split(x *loop) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || x.end-x.index < 2 {
		return false
	}
	y := l.loops[(x.index+x.end+1)/2]
	if l.move(y.index+1, x.end, x, y) != nil {
		return false
	}
	x.home.unnest(y.home)
	y.end, x.end = x.end, y.index
	y.woken <- struct{}{}
	return true
}

// merge gives all lanes of x to the next lower loop that serves lanes, if both have little to do, and reports whether it did.
// x calls it between two rounds.
func (l *loops) merge(x *loop) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	below := x.index - 1
	for l.loops[below].end == l.loops[below].index {
		below--
	}
	y := l.loops[below]
	if l.closed || !x.meter.canMerge(&y.meter) || l.move(x.index+1, x.end, x, y) != nil {
		return false
	}
	if y.home.nest(x.home) != nil {
		_ = l.move(x.index+1, x.end, y, x) // undoes the move above; the lanes were there before
		return false
	}
	y.end, x.end = x.end, x.index
	return true
}

// move moves the lanes first to end-1 from x to y. If it fails, it moves none. The caller holds mu.
func (l *loops) move(first, end int, x, y *loop) error {
	for i := first; i < end; i++ {
		lane := l.loops[i].home
		x.home.unnest(lane)
		if err := y.home.nest(lane); err != nil {
			_ = x.home.nest(lane) // it was there before
			_ = l.move(first, i, y, x)
			return err
		}
	}
	return nil
}
