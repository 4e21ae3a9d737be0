//go:build race

package turnserver

// With the race detector, a sync.Pool drops some of the values put into it.
func init() { poolsForget = true }
