package netlab

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do calls f on a thread that is in a host's network namespace. Sockets that f opens stay there for life.
func (l *Lab) Do(host string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		done <- l.inside(host, f)
	}()
	return <-done
}

func (l *Lab) inside(host string, f func() error) error {
	ns, err := os.Open("/run/netns/" + l.prefix + host)
	if err != nil {
		return fmt.Errorf("open the namespace of %s: %w", host, err)
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the namespace of %s: %w", host, err)
	}
	return f()
}
