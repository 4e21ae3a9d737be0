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

// guard calls alive twice in each interval until ctx ends, and calls ping each time alive has returned nil. While alive blocks or
// fails, the service manager gets no ping, and after the interval it ends the process with a dump of its goroutines. failed is
// called with each error of alive.
func guard(ctx context.Context, interval time.Duration, alive func() error, ping func(), failed func(error)) {
	if interval <= 0 {
		return
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		if err := alive(); err != nil {
			failed(err)
		} else {
			ping()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// watchdogTimeout is how long the relay may take to show progress when the watchdog asks.
const watchdogTimeout = 5 * time.Second

// alive returns an error if a goroutine that relays UDP packets is stuck. It also takes and releases every lock that a working
// daemon does: those of the state, and through the metrics those of the relay and the hub. It blocks if one is never released.
func (d *daemon) alive() error {
	d.status()
	d.turn.Sessions()
	_, _ = d.registry.Gather() // /metrics shows the errors
	ctx, cancel := context.WithTimeout(context.Background(), watchdogTimeout)
	defer cancel()
	return d.turn.Check(ctx)
}
