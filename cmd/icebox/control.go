package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"icebox/cmd/icebox/admin"
	"icebox/cmd/icebox/statedir"
	"icebox/config"
)

func (p *program) reloadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the running daemon read its configuration again",
		Long: "Reload has the daemon read its configuration, its secret files and its certificate again, and prints\n" +
			"which settings changed. If anything is wrong, or takes a restart, nothing changes: every reason is\n" +
			"printed and the exit status is 2. Running calls go on either way. Run it on the daemon's host, as root\n" +
			"or as the daemon's user.",
		Args: cobra.NoArgs,
	}
	flags := newConfigFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		access, err := p.access(flags)
		if err != nil {
			return err
		}
		done, err := access.Reload(cmd.Context())
		var refused admin.Refused
		switch {
		case errors.As(err, &refused):
			return &exitError{exitUsage, fmt.Errorf("%w\nnothing has changed", err)}
		case err != nil:
			return failure(err)
		case len(done.Changed) == 0:
			_, err = fmt.Fprintln(p.stdout, "reloaded; no setting has changed")
		default:
			_, err = fmt.Fprintf(p.stdout, "reloaded; changed: %s\n", strings.Join(done.Changed, ", "))
		}
		return failure(err)
	}
	return cmd
}

func (p *program) drainCommand() *cobra.Command {
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "End the running daemon once its calls have ended",
		Long: "Drain has the daemon take no new clients, wait until the calls it relays have ended, and end. TURN clients\n" +
			"are sent to shutdown.alternate_servers. Calls that last longer than --within are cut off. The command\n" +
			"says how many are left, and returns when the daemon has ended; interrupting it stops neither.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().DurationVar(&within, "within", 0, "how long calls may last (default: shutdown.drain)")
	flags := newConfigFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if within < 0 || within == 0 && cmd.Flags().Changed("within") {
			return fmt.Errorf("--within: want a time above 0, got %s", within)
		}
		access, err := p.access(flags)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		return failure(p.drain(ctx, access, within))
	}
	return cmd
}

// watchEvery is how often drain looks how far the daemon is.
const watchEvery = 250 * time.Millisecond

// drain orders it and follows it.
func (p *program) drain(ctx context.Context, access admin.Access, within time.Duration) error {
	begun, err := access.Drain(ctx, within)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(p.stdout, "draining until %s at the latest\n", begun.Until.Local().Format(time.TimeOnly))
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for left := -1; ; {
		if begun.Sessions != left {
			left = begun.Sessions
			_, _ = fmt.Fprintf(p.stdout, "sessions left: %d\n", left)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		now, err := access.Status(ctx)
		switch {
		case errors.Is(err, admin.ErrNotRunning):
			_, err = fmt.Fprintln(p.stdout, "stopped")
			return err
		case err == nil && now.Draining != nil:
			begun = *now.Draining
		}
	}
}

// access finds the running daemon through its state directory. A configuration
// with mistakes is no obstacle where the directory is known all the same: the
// daemon itself will say what they are.
func (p *program) access(f *configFlags) (admin.Access, error) {
	cfg, invalid := p.load(f)
	path := p.stateDirOf(f)
	if invalid == nil {
		path = cfg.StateDir
	}
	dir, err := statedir.OpenExisting(path, newLogger(p.stderr, config.Log{Level: "warn"}, nil))
	var a admin.Access
	if err == nil {
		a, err = admin.ReadAccess(dir)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return a, failure(fmt.Errorf("%w: run this as root or as the daemon's user", err))
	case err != nil && invalid != nil:
		return a, invalid
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, admin.ErrNotRunning):
		return a, failure(fmt.Errorf("no daemon uses the state directory %s: name the right one with --state-dir", path))
	}
	return a, failure(err)
}

// stateDirOf is the state directory as far as it is known without a valid
// configuration.
func (p *program) stateDirOf(f *configFlags) string {
	if dir, ok := f.given()["state_dir"]; ok {
		return dir
	}
	if dir := p.getenv("ICEBOX_STATE_DIR"); dir != "" {
		return dir
	}
	return p.stateDir()
}
