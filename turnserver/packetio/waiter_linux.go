package packetio

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Once a loop has waited for longWait, it parks on the netpoller. From that time on the scheduler would take its P
	// away. The loop returns to epoll_wait after manyRounds consecutive waits shorter than shortWait. When a loop parks
	// for the first time, the kernel checks each of its sockets.
	longWait   = 10 * time.Millisecond
	shortWait  = 8 * time.Millisecond
	manyRounds = 100
)

// waiter blocks a loop until a socket is readable. It has two ways to block.
//
// A loop that blocks in epoll_wait pins a P. The scheduler's sysmon thread polls that P dozens of times and finally retakes
// it. At low packet rates that costs more than relaying the packets, so the goroutine parks on Go's netpoller instead, as a
// goroutine that reads a stream does. At high rates parking is worse, because it takes two wake-ups instead of one.
type waiter struct {
	file    *os.File // a duplicate of the epoll, registered with the netpoller; nil: block in epoll_wait
	raw     syscall.RawConn
	rounds  int // consecutive short waits while parked
	events  []unix.EpollEvent
	found   int
	tryPoll func(fd uintptr) bool // made once
}

// wait blocks until the epoll of l has events, and returns their number as poll does.
func (w *waiter) wait(l *lane, events []unix.EpollEvent) int {
	if w.file == nil {
		return l.poll(-1, events)
	}
	w.events, w.found = events, 0
	if w.raw.Read(w.tryPoll) != nil {
		return l.poll(-1, events)
	}
	return w.found
}

// chooseMode decides how the next wait blocks, from the duration of the last one.
func (w *waiter) chooseMode(l *lane, waited time.Duration) {
	switch {
	case w.file == nil && waited >= longWait:
		w.usePoller(l)
	case waited >= shortWait:
		w.rounds = 0
	case w.file != nil:
		if w.rounds++; w.rounds >= manyRounds {
			w.useSyscall()
		}
	}
}

// usePoller registers the epoll with the netpoller. If that fails, the loop continues to block in epoll_wait.
func (w *waiter) usePoller(l *lane) {
	fd, err := unix.FcntlInt(uintptr(l.epoll), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return
	}
	if err := unix.SetNonblock(fd, true); err != nil { // the netpoller accepts non-blocking descriptors only
		_ = unix.Close(fd)
		return
	}
	w.file = os.NewFile(uintptr(fd), "epoll")
	if w.tryPoll == nil {
		w.tryPoll = func(uintptr) bool {
			w.found = l.poll(0, w.events)
			return w.found > 0
		}
	}
	if w.raw, err = w.file.SyscallConn(); err != nil {
		w.useSyscall()
	}
}

// useSyscall makes the loop block in epoll_wait again.
func (w *waiter) useSyscall() {
	if w.file != nil {
		_ = w.file.Close() // another descriptor of the epoll is open
	}
	w.file, w.raw, w.rounds = nil, nil, 0
}
