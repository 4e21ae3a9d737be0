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

// order is what somebody told a running daemon to do, and where the answer goes.
type order struct {
	drain  bool          // else reload
	within time.Duration // for a drain; 0: shutdown.drain
	reply  chan answer   // has room for one
}

type answer struct {
	reloaded admin.Reloaded
	draining admin.Draining
	err      error
}

func (d *Daemon) orderReload(ctx context.Context) (admin.Reloaded, error) {
	a := d.order(ctx, order{})
	return a.reloaded, a.err
}

func (d *Daemon) orderDrain(ctx context.Context, within time.Duration) (admin.Draining, error) {
	a := d.order(ctx, order{drain: true, within: within})
	return a.draining, a.err
}

// order hands o to the goroutine that attends to the daemon.
func (d *Daemon) order(ctx context.Context, o order) answer {
	o.reply = make(chan answer, 1)
	select {
	case d.orders <- o:
		return <-o.reply
	case <-d.deaf:
		return answer{err: admin.ErrStopping}
	case <-ctx.Done():
		return answer{err: ctx.Err()}
	}
}

// ending is why and how a daemon ends.
type ending struct {
	drain   time.Duration // how long running calls have
	ordered bool          // not by a signal
	failure error         // what broke; nil when somebody wants it to end
}

// Run serves until a signal, the command drain or a failure ends the daemon. It then shuts the daemon down and returns what
// went wrong.
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
	end := d.attend(signals)
	_ = d.notify("STOPPING=1")
	return d.finish(end, signals)
}

// attend obeys signals and orders, one at a time, until one of them, or a
// failure, ends the daemon.
func (d *Daemon) attend(signals <-chan os.Signal) ending {
	defer close(d.deaf)
	for {
		select {
		case s := <-signals:
			if s != syscall.SIGHUP {
				d.log.Info("shutting down", "signal", s.String())
				return d.ends(ending{drain: d.cfg().Shutdown.Drain})
			}
			_, _ = d.reloadAndNotify() // the outcome is in the log
		case o := <-d.orders:
			if !o.drain {
				done, err := d.reloadAndNotify()
				o.reply <- answer{reloaded: done, err: err}
				continue
			}
			if o.within == 0 {
				o.within = d.cfg().Shutdown.Drain
			}
			d.log.Info("shutting down", "order", "drain", "within", o.within)
			end := d.ends(ending{drain: o.within, ordered: true})
			o.reply <- answer{draining: admin.Draining{Sessions: len(d.turn.Sessions()), Until: d.deadline()}}
			return end
		case err := <-d.failed:
			d.log.Error("shutting down", "error", err)
			return d.ends(ending{drain: d.cfg().Shutdown.Drain, failure: err})
		}
	}
}

func (d *Daemon) ends(e ending) ending {
	d.drainFor(e.drain)
	return e
}

// reloadAndNotify reloads and tells the service manager.
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

// finish shuts the daemon down. A signal that follows another one ends the wait
// for it; one that follows an order gives running calls the time that it
// would have given them without.
func (d *Daemon) finish(e ending, signals <-chan os.Signal) error {
	drain, cut := context.WithTimeout(context.Background(), e.drain)
	defer cut()
	ended := make(chan error, 1)
	go func() { ended <- d.shutdown(drain) }()
	for {
		select {
		case err := <-ended:
			d.log.Info("stopped")
			if e.failure != nil {
				return e.failure
			}
			return err
		case s := <-signals:
			switch {
			case s == syscall.SIGHUP:
			case e.ordered:
				e.ordered = false
				limit := min(d.cfg().Shutdown.Drain, time.Until(d.deadline()))
				d.drainFor(limit)
				d.log.Info("shutting down", "signal", s.String())
				time.AfterFunc(limit, cut)
			default:
				return errors.Join(e.failure, fmt.Errorf("ended by a second signal, %s, before the shutdown was done", s))
			}
		}
	}
}
