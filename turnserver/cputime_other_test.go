//go:build !unix

package turnserver

import "time"

// cpuTime returns 0, because it is not measured on this system.
func cpuTime() time.Duration { return 0 }
