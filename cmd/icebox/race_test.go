//go:build race

package main

// A test for races looks for those of the daemon.
func init() { buildFlags = append(buildFlags, "-race") }
