package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"icebox/cmd/icebox/admin"
)

func (p *program) reloadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make the running daemon read its configuration again",
		Long: "Reload makes the daemon read its configuration, its secret files and its certificate again, and prints\n" +
			"the settings that changed. If a setting is wrong, or its change takes a restart, nothing changes: reload\n" +
			"prints every reason and the exit status is 2. Running calls continue in both cases. Run it on the daemon's\n" +
			"host, as root or as the daemon's user.",
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
