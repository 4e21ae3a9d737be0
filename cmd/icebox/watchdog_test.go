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

// The service manager gets two pings in each interval, and none from a daemon that hangs.
func TestGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		pings, began := 0, time.Now()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			guard(ctx, 10*time.Second, func(ctx context.Context) error {
				if time.Since(began) >= time.Minute {
					<-ctx.Done()
				}
				return ctx.Err()
			}, func() { pings++ })
		}()
		time.Sleep(time.Minute - time.Nanosecond)
		synctest.Wait()
		if pings != 12 { // at 0, 5, ... 55 s
			t.Errorf("%d pings in a minute, want 12", pings)
		}
		time.Sleep(time.Minute)
		cancel()
		<-ended
		if pings != 12 {
			t.Errorf("%d pings from a daemon that hangs", pings-12)
		}
	})
}
