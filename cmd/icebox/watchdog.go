package main

import (
	"context"
	"os"
	"strconv"
	"time"
)

// watchdogInterval is how often the service manager wants to hear of this process,
// sd_watchdog_enabled(3); 0 where it doesn't.
func (p *program) watchdogInterval() time.Duration {
	if pid := p.getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	n, err := strconv.ParseInt(p.getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}

// guard calls tell twice in each interval, from when alive has returned, until ctx
// ends. While alive hangs the service manager hears nothing, and
// ends the process with a dump of its goroutines.
func guard(ctx context.Context, interval time.Duration, alive, tell func()) {
	if interval <= 0 {
		return
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		alive()
		tell()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// alive takes every lock that a working daemon takes and gives back: those of
// the state, and behind the metrics those of the relay and the hub.
func (d *daemon) alive() {
	d.status()
	d.turn.Sessions()
	_, _ = d.registry.Gather() // what can't be gathered shows in /metrics
}
