//go:build !linux

package main

import (
	"fmt"
	"io"
)

// run reports that this system lacks the system calls and the /proc files that measuring needs.
func run(_ []string, _, stderr io.Writer) int {
	_, _ = fmt.Fprintln(stderr, "iceload: only Linux is supported")
	return 1
}
