package daemon

import (
	"context"
	"time"
)

// guard calls ping twice in each interval, each time after alive has returned nil, until ctx ends. While alive blocks or fails,
// the service manager gets no ping. After the interval it ends the process, which then prints its goroutines.
func guard(ctx context.Context, interval time.Duration, alive func(context.Context) error, ping func()) {
	if interval <= 0 {
		return
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		if alive(ctx) == nil {
			ping()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// alive returns when the daemon works, or when ctx ends. It takes and releases every lock that a working daemon does: those of
// the state, and through the metrics those of the relay and the hub. Then it waits until the relay makes progress.
func (d *Daemon) alive(ctx context.Context) error {
	d.storedStatus()
	d.turn.Sessions()
	_, _ = d.registry.Gather() // /metrics shows the errors
	return d.awaitRelay(ctx)
}
