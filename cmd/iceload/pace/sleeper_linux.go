package pace

import (
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxSleep bounds one system call, in which the thread holds a processor of Go's
// scheduler and would keep the garbage collector waiting.
const maxSleep = time.Millisecond

// Sleeper is a thread that sleeps to the microsecond. Go's own timers wake up through
// epoll, to the millisecond.
type Sleeper struct{}

// NewSleeper locks the calling goroutine to its thread and makes the kernel wake it
// in time; Release undoes both. Only this goroutine may use the Sleeper.
func NewSleeper() *Sleeper {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // else 50 µs later: no harm but to precision
	return &Sleeper{}
}

// Release gives the thread back.
func (s *Sleeper) Release() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // the default again
	runtime.UnlockOSThread()
}

// Until sleeps until t, which has a monotonic clock reading.
func (s *Sleeper) SleepUntil(t time.Time) {
	for d := time.Until(t); d > 0; d = time.Until(t) {
		ts := unix.NsecToTimespec(int64(min(d, maxSleep)))
		// A plain system call would let the runtime hand this thread's processor over and
		// fetch it back: twice the cost of the sleep itself.
		_, _, _ = unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, 0,
			uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	}
}
