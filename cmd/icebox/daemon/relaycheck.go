package daemon

import (
	"context"
	"time"
)

// progressLimit is how long the relay may take to show progress before the daemon counts as not ready. It is shorter than the
// default timeout of icebox healthcheck.
const progressLimit = 2 * time.Second

// relayProblem returns an error if the relay makes no progress within progressLimit.
func (d *Daemon) relayProblem(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, progressLimit)
	defer cancel()
	return d.checkRelay(ctx)
}

// awaitRelay returns once the relay makes progress. It logs an error if that takes longer than progressLimit. It returns an
// error if ctx ends first.
func (d *Daemon) awaitRelay(ctx context.Context) error {
	err := d.relayProblem(ctx)
	if err == nil || ctx.Err() != nil {
		return err
	}
	d.log.Error("the relay is stuck, so the service manager gets no watchdog ping until it makes progress", "error", err)
	return d.checkRelay(ctx)
}
