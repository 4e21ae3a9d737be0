package packetio

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// A loop that has waited for longWait, after which the scheduler takes the processor away, waits in the way of
	// those who have little to do from then on, until it has found something within shortWait,
	// manyRounds times on end. The kernel looks at each socket when that begins.
	longWait   = 10 * time.Millisecond
	shortWait  = 8 * time.Millisecond
	manyRounds = 100
)

// waiter waits for a loop with little to do. In a system call it would hold one of the processors of Go's scheduler, which
// looks dozens of times what becomes of it, and takes it away at last: more work than what a packet
// wants that comes every now and then. So the goroutine waits as those who read streams do. That takes
// two wake-ups when there is much to do.
type waiter struct {
	file    *os.File // the epoll that is waited for; nil: in a system call
	raw     syscall.RawConn
	rounds  int
	events  []unix.EpollEvent
	found   int
	attempt func(fd uintptr) bool // made once
}

// wait waits for events of the epoll. It returns as poll does.
func (w *waiter) wait(l *lane, events []unix.EpollEvent) int {
	if w.file == nil {
		return l.poll(-1, events)
	}
	w.events, w.found = events, 0
	if w.raw.Read(w.attempt) != nil {
		return l.poll(-1, events)
	}
	return w.found
}

// note takes note of how long the last wait was.
func (w *waiter) note(l *lane, waited time.Duration) {
	switch {
	case w.file == nil && waited >= longWait:
		w.begin(l)
	case waited >= shortWait:
		w.rounds = 0
	case w.file != nil:
		if w.rounds++; w.rounds >= manyRounds {
			w.end()
		}
	}
}

// begin has the runtime watch the epoll. Where it can't, nothing changes.
func (w *waiter) begin(l *lane) {
	fd, err := unix.FcntlInt(uintptr(l.epoll), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return
	}
	if err := unix.SetNonblock(fd, true); err != nil { // or the runtime would not watch it
		_ = unix.Close(fd)
		return
	}
	w.file = os.NewFile(uintptr(fd), "epoll")
	if w.attempt == nil {
		w.attempt = func(uintptr) bool {
			w.found = l.poll(0, w.events)
			return w.found > 0
		}
	}
	if w.raw, err = w.file.SyscallConn(); err != nil {
		w.end()
	}
}

// end has the loop wait by itself again.
func (w *waiter) end() {
	if w.file != nil {
		_ = w.file.Close() // another descriptor of the epoll is open
	}
	w.file, w.raw, w.rounds = nil, nil, 0
}
