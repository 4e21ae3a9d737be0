//go:build !unix

package turnserver

import "time"

// cpuTime is what this process has used; it is not measured here.
func cpuTime() time.Duration { return 0 }
