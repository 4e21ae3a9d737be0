package sandbox

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// InNetwork calls f on a thread in the network namespace that the file at path names. Sockets that
// f opens stay in that namespace. Goroutines that f starts do not run in it.
func InNetwork(path string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // without unlocking, so that the thread ends with this goroutine
		done <- enterNetwork(path, f)
	}()
	return <-done
}

func enterNetwork(path string, f func() error) error {
	ns, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open a network namespace: %w", err)
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network namespace %s: %w", path, err)
	}
	return f()
}
