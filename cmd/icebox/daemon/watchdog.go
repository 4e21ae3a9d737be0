package daemon

import (
	"context"
	"time"
)

// guard calls ping twice in each interval, each time after alive has returned nil, until ctx ends. While alive blocks
// or fails, the service manager gets no ping. After one interval without a ping, the service manager ends the process
// with a signal that makes it print its goroutines.
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

// alive returns nil once the daemon works, or an error if ctx ends first. A deadlock makes it block, because it takes
// and releases the locks of the daemon's state, and, by gathering the metrics, the locks of the relay and the hub. Then
// it waits until the relay makes progress.
func (d *Daemon) alive(ctx context.Context) error {
	d.storedStatus()
	d.turn.Sessions()
	_, _ = d.registry.Gather() // /metrics shows the errors
	return d.awaitRelay(ctx)
}
