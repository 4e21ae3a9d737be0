package packetio

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// maxEvents is how many sockets one poll of an epoll returns at most.
const maxEvents = 256

const (
	// pauseFor is the shortest time between two wake-ups of a busy loop; the kernel adds up to as much again. The loop
	// reads packets that arrive in the meantime together, which saves wake-ups and makes runs longer; see run.
	pauseFor = 50 * time.Microsecond
	// After a round in which a loop read several datagrams, it counts as busy for busyRounds more rounds. A loop that
	// reads single datagrams never pauses, because their senders may be waiting for each other's replies.
	busyRounds = 8
)

// loop is a goroutine that serves some lanes, or sleeps.
type loop struct {
	all   *loops
	index int
	home  *lane         // the lane with the loop's own index
	woken chan struct{} // receives when the loop has lanes again; closed by Close
	end   int           // the loop serves lanes index to end-1; guarded by all.mu

	meter meter

	// Owned by the goroutine.
	events [maxEvents]unix.EpollEvent
	waiter waiter
	ready  []*socket
	nested []int
	in     inbox
	out    Batch
	began  time.Duration // when the current round began
	ended  time.Duration // when the last round ended
	busy   int           // for how many more rounds the loop counts as busy
}

func newLoop(all *loops, index int) (*loop, error) {
	home, err := newLane(index)
	if err != nil {
		return nil, err
	}
	l := &loop{
		all: all, index: index, home: home, end: index,
		woken: make(chan struct{}, 1),
		meter: meter{scalePolicy: &all.policy, calmSince: notCalm},
		ready: make([]*socket, 0, maxEvents),
	}
	l.in.init()
	l.out.init()
	return l, nil
}

func (l *loop) run() {
	defer l.waiter.useSyscall()
	if l.index > 0 && !l.sleep() {
		return
	}
	for l.wait() {
		for _, s := range l.ready {
			l.in.readFrom(s, &l.out)
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

// sleep blocks until the loop has lanes to serve. It returns false if the loop has to end.
func (l *loop) sleep() bool {
	l.waiter.useSyscall()
	_, ok := <-l.woken
	l.ended = l.now()
	l.meter.reset(l.ended)
	return ok
}

// balance ends a round. If the loop has too much or too little to do, it hands lanes over to another loop. It returns false
// if the loop has to end.
func (l *loop) balance() bool {
	l.ended = l.now()
	if !l.meter.endRound(l.began, l.ended) {
		return true
	}
	// Go's sysmon thread checks a goroutine that has not yielded for 10 ms every 20 µs, and takes its P away during a
	// system call. Before loops yielded here, that cost 10 % of the CPU time of all packets.
	runtime.Gosched()
	if l.meter.overloaded() && l.all.split(l) {
		return true
	}
	return l.index == 0 || !l.all.merge(l) || l.sleep()
}

// wait blocks until sockets are readable. It returns false if the loop has to end.
func (l *loop) wait() (ok bool) {
	l.pause()
	clear(l.ready)
	n := l.waiter.wait(l.home, l.events[:])
	l.began = l.now()
	l.waiter.chooseMode(l.home, l.began-l.ended)
	ready, nested, stop := l.home.classify(l.events[:n], l.ready[:0], l.nested[:0])
	for _, i := range nested {
		var ends bool
		lane := l.all.loops[i].home
		ready, _, ends = lane.classify(l.events[:lane.poll(0, l.events[:])], ready, nil)
		stop = stop || ends
	}
	l.ready, l.nested = ready, nested
	return !stop
}

// pause sleeps until pauseFor has passed since the last wake-up, if the loop is busy and has read all its sockets empty.
func (l *loop) pause() {
	if l.in.read > 1 {
		l.busy = busyRounds
	}
	more := l.in.more
	l.in.read, l.in.more = 0, false
	if more || l.busy == 0 {
		return
	}
	l.busy--
	if left := pauseFor - (l.now() - l.began); left > pauseFor/10 {
		t := unix.NsecToTimespec(int64(left))
		_ = unix.Nanosleep(&t, nil) // after EINTR the pause is shorter
	}
}

// now returns the time since the creation of the loops.
func (l *loop) now() time.Duration { return time.Since(l.all.epoch) }
