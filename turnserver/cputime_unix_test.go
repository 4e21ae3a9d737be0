//go:build unix

package turnserver

import (
	"syscall"
	"time"
)

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // can't fail for ourselves
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
