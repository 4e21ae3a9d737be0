package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"icebox/cmd/icebox/admin"
)

// controlRequest asks the control goroutine to reload or to drain.
type controlRequest struct {
	drain  bool              // otherwise reload
	within time.Duration     // how long a drain may take; 0 means shutdown.drain
	reply  chan controlReply // has room for one
}

type controlReply struct {
	reloaded admin.Reloaded
	draining admin.Draining
	err      error
}

func (d *Daemon) requestReload(ctx context.Context) (admin.Reloaded, error) {
	r := d.request(ctx, controlRequest{})
	return r.reloaded, r.err
}

func (d *Daemon) requestDrain(ctx context.Context, within time.Duration) (admin.Draining, error) {
	r := d.request(ctx, controlRequest{drain: true, within: within})
	return r.draining, r.err
}

// request passes r to the control goroutine and returns its reply.
func (d *Daemon) request(ctx context.Context, r controlRequest) controlReply {
	r.reply = make(chan controlReply, 1)
	select {
	case d.requests <- r:
		return <-r.reply
	case <-d.requestsClosed:
		return controlReply{err: admin.ErrStopping}
	case <-ctx.Done():
		return controlReply{err: ctx.Err()}
	}
}

// shutdownCause is the reason why the daemon shuts down, and the time for which it drains.
type shutdownCause struct {
	drain     time.Duration // how long running calls may take to end
	requested bool          // by the command drain, not by a signal
	failure   error         // of a server; nil if an operator wants the daemon to end
}

// Run blocks until a signal, the command drain or the failure of a server ends the daemon. It then shuts the daemon
// down. It returns the error of the server that failed, or the errors of the shutdown.
func (d *Daemon) Run(signals <-chan os.Signal) error {
	if err := d.notify("READY=1"); err != nil {
		d.log.Warn(err.Error())
	}
	guarded, unguard := context.WithCancel(context.Background())
	var watchdog sync.WaitGroup
	watchdog.Go(func() {
		guard(guarded, d.options.WatchdogInterval, d.alive, func() { _ = d.notify("WATCHDOG=1") })
	})
	defer watchdog.Wait()
	defer unguard()
	end := d.handleControl(signals)
	_ = d.notify("STOPPING=1")
	return d.awaitShutdown(end, signals)
}

// handleControl handles signals and control requests, one at a time, until one of them or the failure of a server ends the
// daemon.
func (d *Daemon) handleControl(signals <-chan os.Signal) shutdownCause {
	defer close(d.requestsClosed)
	for {
		select {
		case s := <-signals:
			if s != syscall.SIGHUP {
				d.log.Info("shutting down", "signal", s.String())
				return d.announceDrain(shutdownCause{drain: d.cfg().Shutdown.Drain})
			}
			_, _ = d.reloadAndNotify() // the outcome is in the log
		case r := <-d.requests:
			if !r.drain {
				done, err := d.reloadAndNotify()
				r.reply <- controlReply{reloaded: done, err: err}
				continue
			}
			if r.within == 0 {
				r.within = d.cfg().Shutdown.Drain
			}
			d.log.Info("shutting down", "order", "drain", "within", r.within)
			end := d.announceDrain(shutdownCause{drain: r.within, requested: true})
			r.reply <- controlReply{draining: admin.Draining{Sessions: len(d.turn.Sessions()), Until: d.deadline()}}
			return end
		case err := <-d.failed:
			d.log.Error("shutting down", "error", err)
			return d.announceDrain(shutdownCause{drain: d.cfg().Shutdown.Drain, failure: err})
		}
	}
}

// announceDrain sets the end of the drain, which the status shows, and returns c.
func (d *Daemon) announceDrain(c shutdownCause) shutdownCause {
	d.setDrainDeadline(c.drain)
	return c
}

// reloadAndNotify reloads the configuration and notifies the service manager.
func (d *Daemon) reloadAndNotify() (admin.Reloaded, error) {
	_ = d.notify("RELOADING=1")
	changed, err := d.reload()
	status := "STATUS=reloaded"
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		status = "STATUS=the last reload was refused: " + first
		err = admin.Refused(strings.Split(err.Error(), "\n"))
	}
	_ = d.notify("READY=1", status)
	return admin.Reloaded{Changed: changed}, err
}

// awaitShutdown shuts the daemon down. A signal that follows another signal ends the wait at once. A signal that follows the
// command drain shortens the drain to shutdown.drain, as if the signal had come alone.
func (d *Daemon) awaitShutdown(c shutdownCause, signals <-chan os.Signal) error {
	drain, endDrain := context.WithTimeout(context.Background(), c.drain)
	defer endDrain()
	done := make(chan error, 1)
	go func() { done <- d.shutdown(drain) }()
	for {
		select {
		case err := <-done:
			d.log.Info("stopped")
			if c.failure != nil {
				return c.failure
			}
			return err
		case s := <-signals:
			switch {
			case s == syscall.SIGHUP:
			case c.requested:
				c.requested = false
				limit := min(d.cfg().Shutdown.Drain, time.Until(d.deadline()))
				d.setDrainDeadline(limit)
				d.log.Info("shutting down", "signal", s.String())
				time.AfterFunc(limit, endDrain)
			default:
				return errors.Join(c.failure, fmt.Errorf("ended by a second signal, %s, before the shutdown was done", s))
			}
		}
	}
}
