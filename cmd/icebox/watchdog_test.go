package main

import (
	"context"
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

// The service manager hears of a daemon twice in each interval, and nothing of one that hangs.
func TestGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		told, hang := 0, make(chan struct{})
		began := time.Now()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			guard(ctx, 10*time.Second, func() {
				if time.Since(began) >= time.Minute {
					<-hang
				}
			}, func() { told++ })
		}()
		time.Sleep(time.Minute - time.Nanosecond)
		synctest.Wait()
		if told != 12 { // at 0, 5, ... 55 s
			t.Errorf("told %d times in a minute, want 12", told)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if told != 12 {
			t.Errorf("told %d times of a daemon that hangs", told-12)
		}
		close(hang)
		cancel()
		<-ended
	})
}
