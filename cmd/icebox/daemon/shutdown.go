package daemon

import (
	"context"
	"errors"
	"time"

	"icebox/cmd/icebox/sockets"
)

const (
	// farewell is how long signalling clients have to read that they should
	// reconnect, before the relay drains.
	farewell = 2 * time.Second
	// closing is how long requests have to end after the relay has drained.
	closing = 3 * time.Second
)

// shutdown ends everything in order: no longer ready; no new sign-ins, and
// clients are told to reconnect; no new allocations, and running calls have
// until drain ends; then everything else. drain is none of the contexts that
// ended the daemon, which are cancelled already.
func (d *Daemon) shutdown(drain context.Context) error {
	d.ready.Store(false)
	var problems []error
	problems = append(problems, within(farewell, d.hub.Shutdown))

	d.log.Info("draining the relay", "sessions", len(d.turn.Sessions()), "deadline", d.deadline().Format(time.RFC3339))
	problems = append(problems, unlessCut(d.turn.Drain(drain)))
	if cut := len(d.turn.Sessions()); cut > 0 {
		d.log.Warn("ended calls that were still running", "sessions", cut)
	}
	problems = append(problems, d.turn.Close())
	d.quit()
	d.work.Wait()
	for _, w := range append(d.web, d.admin) {
		problems = append(problems, within(closing, w.shutdown))
	}
	d.closeIntakes()
	return errors.Join(problems...)
}

// within gives do so much time. That it took all of it is no error: what is
// left then is cut off.
func within(limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return unlessCut(do(ctx))
}

func unlessCut(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// drainFor says until when running calls have time, for all to see.
func (d *Daemon) drainFor(limit time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.until = time.Now().Add(limit)
}

func (d *Daemon) deadline() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.until
}

// close ends what start has begun. Closing a socket twice does no harm.
func (d *Daemon) close() {
	if d.hub != nil {
		_ = within(0, d.hub.Shutdown)
	}
	if d.turn != nil {
		_ = d.turn.Close()
	}
	for _, w := range append(d.web, d.admin) {
		if w != nil {
			_ = within(0, w.shutdown)
		}
	}
	d.closeIntakes()
	sockets.Close(d.opened)
}
