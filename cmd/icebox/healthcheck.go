package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"icebox/cmd/icebox/admin"
)

func (p *program) healthcheckCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Report by the exit status whether the daemon is healthy, for container health checks",
		Long: "Healthcheck asks the running daemon at admin.address. The exit status is 0 if the daemon takes clients or\n" +
			"drains, and 1 if it does neither, does not respond, or its relay is stuck.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "how long to wait for the response")
	flags := newConfigFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		access, err := p.reach(flags)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
		defer cancel()
		return failure(p.healthcheck(ctx, access))
	}
	return cmd
}

func (p *program) healthcheck(ctx context.Context, access admin.Access) error {
	status, err := access.Status(ctx)
	if err != nil {
		return err
	}
	word := "ready"
	switch {
	case status.Problem != "":
		return fmt.Errorf("icebox runs but is not ready: %s", status.Problem)
	case status.Draining != nil:
		word = fmt.Sprintf("draining, sessions left: %d", status.Draining.Sessions)
	case !status.Ready:
		return errors.New("icebox runs but is not ready")
	}
	_, err = fmt.Fprintln(p.stdout, word)
	return err
}
