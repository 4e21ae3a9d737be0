package pace

import (
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxSleep bounds one system call. The thread keeps its P (a processor of Go's scheduler) while it
// sleeps, so a longer sleep would make the garbage collector wait.
const maxSleep = time.Millisecond

// Sleeper sleeps with microsecond precision. Go's own timers wake up through epoll, which has
// millisecond precision.
type Sleeper struct{}

// NewSleeper locks the calling goroutine to its thread and lowers the thread's timer slack; Release
// undoes both. Only the calling goroutine may use the Sleeper.
func NewSleeper() *Sleeper {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // on failure, wake-ups are up to 50 µs late, which only costs precision
	return &Sleeper{}
}

// Release unlocks the thread and restores its default timer slack.
func (s *Sleeper) Release() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // 0 restores the default
	runtime.UnlockOSThread()
}

// SleepUntil sleeps until t, which must have a monotonic clock reading.
func (s *Sleeper) SleepUntil(t time.Time) {
	for d := time.Until(t); d > 0; d = time.Until(t) {
		ts := unix.NsecToTimespec(int64(min(d, maxSleep)))
		// An ordinary system call would let the runtime hand this thread's P to another thread and
		// fetch it back afterwards, which costs twice as much as the sleep itself.
		_, _, _ = unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, 0,
			uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	}
}
