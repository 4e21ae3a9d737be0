//go:build unix

package turnserver

import (
	"syscall"
	"time"
)

// cpuTime returns the CPU time of this process.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // cannot fail for the calling process
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
