package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatchdogInterval(t *testing.T) {
	for environment, want := range map[string]time.Duration{
		"": 0, "WATCHDOG_USEC=": 0, "WATCHDOG_USEC=30000000": 30 * time.Second, "WATCHDOG_USEC=-1": 0, "WATCHDOG_USEC=many": 0,
	} {
		p := &program{environ: []string{environment}}
		if got := p.watchdogInterval(); got != want {
			t.Errorf("%s: %s, want %s", environment, got, want)
		}
		p.environ = append(p.environ, fmt.Sprintf("WATCHDOG_PID=%d", os.Getpid()))
		if got := p.watchdogInterval(); got != want {
			t.Errorf("%s, this process: %s, want %s", environment, got, want)
		}
		p.environ[1] = "WATCHDOG_PID=1"
		if got := p.watchdogInterval(); got != 0 {
			t.Errorf("%s, another process: %s", environment, got)
		}
	}
}

// The service manager gets two pings in each interval, and none from a daemon that fails its check or blocks in it.
func TestGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		pings, failures, hang := 0, 0, make(chan struct{})
		began := time.Now()
		ended := make(chan struct{})
		alive := func() error {
			switch age := time.Since(began); {
			case age >= 2*time.Minute:
				<-hang
			case age >= time.Minute:
				return errors.New("stuck")
			}
			return nil
		}
		go func() {
			defer close(ended)
			guard(ctx, 10*time.Second, alive, func() { pings++ }, func(error) { failures++ })
		}()
		for _, want := range []struct{ pings, failures int }{{12, 0}, {12, 12}, {12, 12}} { // at 0, 5, ... 55 s of each minute
			time.Sleep(time.Minute - time.Nanosecond)
			synctest.Wait()
			if pings != want.pings || failures != want.failures {
				t.Errorf("after %v: %d pings and %d failures, want %d and %d", time.Since(began), pings, failures, want.pings, want.failures)
			}
			time.Sleep(time.Nanosecond)
		}
		close(hang)
		cancel()
		<-ended
	})
}
