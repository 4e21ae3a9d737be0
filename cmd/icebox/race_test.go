//go:build race

package main

// With -race, the daemon is built with the race detector too.
func init() { buildFlags = append(buildFlags, "-race") }
