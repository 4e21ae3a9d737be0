package main

import (
	"fmt"
	"os"
	"testing"
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
