package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"icebox/cmd/icebox/admin"
)

func (p *program) drainCommand() *cobra.Command {
	var within time.Duration
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "End the running daemon once its calls have ended",
		Long: "Drain makes the daemon refuse new clients, wait until the calls that it relays have ended, and exit. It\n" +
			"sends new TURN clients to shutdown.alternate_servers. Calls that last longer than --within are cut off.\n" +
			"The command prints how many are left and returns when the daemon has ended. If you interrupt the command,\n" +
			"the daemon still drains.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().DurationVar(&within, "within", 0, "how long calls may still last (default: shutdown.drain)")
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

// watchEvery is the interval at which drain asks for the progress.
const watchEvery = 250 * time.Millisecond

// drain starts a drain and prints its progress until the daemon has ended.
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
