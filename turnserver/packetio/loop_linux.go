package packetio

import (
	"runtime"
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

// loop is a goroutine that serves some lanes, or none.
type loop struct {
	all   *loops
	index int
	home  *lane         // of the same number
	woken chan struct{} // tells that there are lanes to serve; closed at the end
	end   int           // it serves the lanes from its own to this one, which is not among them; guarded by all.mu

	meter meter

	// Owned by the goroutine.
	events [maxEvents]unix.EpollEvent
	waiter waiter
	ready  []*socket
	nested []int
	in     inbox
	out    Batch
	began  time.Duration // the round
	ended  time.Duration // the last one
	busy   int           // rounds
}

func newLoop(all *loops, index int) (*loop, error) {
	home, err := newLane(index)
	if err != nil {
		return nil, err
	}
	l := &loop{
		all: all, index: index, home: home, end: index,
		woken: make(chan struct{}, 1),
		meter: meter{habits: &all.habits, light: never},
		ready: make([]*socket, 0, maxEvents),
	}
	l.in.init()
	l.out.init()
	return l, nil
}

func (l *loop) run() {
	defer l.waiter.end()
	if l.index > 0 && !l.sleep() {
		return
	}
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
		if !l.balance() {
			return
		}
	}
}

// sleep waits until there are lanes to serve; false if the loop is to end.
func (l *loop) sleep() bool {
	l.waiter.end()
	_, ok := <-l.woken
	l.ended = l.now()
	l.meter.start(l.ended)
	return ok
}

// balance ends a round, and hands lanes over if the loop has too much or too little to do; false if
// it is to end.
func (l *loop) balance() bool {
	l.ended = l.now()
	if !l.meter.round(l.began, l.ended) {
		return true
	}
	// Who has not met Go's scheduler for 10 ms gets its attention: it would take the processor away in the midst of
	// a system call, and then look every 20 µs what becomes of it. That cost a tenth of the CPU time of all packets.
	runtime.Gosched()
	if l.meter.overloaded() && l.all.split(l) {
		return true
	}
	return l.index == 0 || !l.all.merge(l) || l.sleep()
}

// wait waits for sockets to become ready; false if the loop is to end.
func (l *loop) wait() (ok bool) {
	l.rest()
	clear(l.ready)
	n := l.waiter.wait(l.home, l.events[:])
	l.began = l.now()
	l.waiter.note(l.home, l.began-l.ended)
	ready, nested, stop := l.home.sort(l.events[:n], l.ready[:0], l.nested[:0])
	for _, i := range nested {
		var ends bool
		lane := l.all.loops[i].home
		ready, _, ends = lane.sort(l.events[:lane.poll(0, l.events[:])], ready, nil)
		stop = stop || ends
	}
	l.ready, l.nested = ready, nested
	return !stop
}

// rest sleeps until restFor has passed since the last wake-up of a busy loop, unless there is work left.
func (l *loop) rest() {
	if l.in.read > 1 {
		l.busy = busyRounds
	}
	more := l.in.more
	l.in.read, l.in.more = 0, false
	if more || l.busy == 0 {
		return
	}
	l.busy--
	if left := restFor - (l.now() - l.began); left > restFor/10 {
		t := unix.NsecToTimespec(int64(left))
		_ = unix.Nanosleep(&t, nil) // EINTR: the rest is shorter
	}
}

// now counts from when the loops were made.
func (l *loop) now() time.Duration { return time.Since(l.all.epoch) }
