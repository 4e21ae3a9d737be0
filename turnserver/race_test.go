//go:build race

package turnserver

// The race detector has a sync.Pool drop some of what it is given.
func init() { poolsForget = true }
