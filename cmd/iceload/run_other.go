//go:build !linux

package main

import (
	"fmt"
	"io"
)

// run says that this system has neither the system calls nor the /proc that measuring needs.
func run(_ []string, _, stderr io.Writer) int {
	_, _ = fmt.Fprintln(stderr, "iceload: only Linux is supported")
	return 1
}
