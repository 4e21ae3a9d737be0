package daemon

import (
	"context"
	"errors"
	"time"

	"icebox/cmd/icebox/sockets"
)

const (
	// hubTimeout is how long the hub may take to tell its clients to reconnect. The relay starts to drain after that.
	hubTimeout = 2 * time.Second
	// webTimeout is how long HTTP requests may take to end after the relay has drained.
	webTimeout = 3 * time.Second
)

// shutdown ends everything in this order:
//  1. The daemon stops being ready.
//  2. The hub takes no new sign-ins and tells its clients to reconnect.
//  3. The relay takes no new allocations and waits until its sessions have ended or drain is done.
//  4. Workers and web servers end.
//
// drain must not derive from a context that is cancelled when the daemon begins to end.
func (d *Daemon) shutdown(drain context.Context) error {
	d.ready.Store(false)
	var problems []error
	problems = append(problems, withTimeout(hubTimeout, d.hub.Shutdown))

	d.log.Info("draining the relay", "sessions", len(d.turn.Sessions()), "deadline", d.deadline().Format(time.RFC3339))
	problems = append(problems, ignoreTimeout(d.turn.Drain(drain)))
	if left := len(d.turn.Sessions()); left > 0 {
		d.log.Warn("ended calls that were still running", "sessions", left)
	}
	problems = append(problems, d.turn.Close())
	d.stopWorkers()
	d.workers.Wait()
	for _, w := range append(d.web, d.admin) {
		problems = append(problems, withTimeout(webTimeout, w.shutdown))
	}
	d.closePreaccepting()
	return errors.Join(problems...)
}

// withTimeout runs do with a timeout. Reaching it is not an error, because do then cuts off the rest.
func withTimeout(limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return ignoreTimeout(do(ctx))
}

func ignoreTimeout(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// setDrainDeadline sets the end of the drain, which the status shows, to limit from now.
func (d *Daemon) setDrainDeadline(limit time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drainDeadline = time.Now().Add(limit)
}

func (d *Daemon) deadline() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.drainDeadline
}

// close undoes a Start that failed. Some sockets are closed twice, which does no harm.
func (d *Daemon) close() {
	if d.hub != nil {
		_ = withTimeout(0, d.hub.Shutdown)
	}
	if d.turn != nil {
		_ = d.turn.Close()
	}
	for _, w := range append(d.web, d.admin) {
		if w != nil {
			_ = withTimeout(0, w.shutdown)
		}
	}
	d.closePreaccepting()
	sockets.Close(d.opened)
}
