package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"icebox/cmd/icebox/daemon"
	"icebox/config"
)

func (p *program) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Report every mistake in the configuration, or print what is in force",
		Long: "Check reads the configuration as serve does. It reports every mistake at once and exits with 2,\n" +
			"or prints what is in force, defaults included, with secrets hidden. It serves nothing, and adds a note\n" +
			"with the addresses that the relay would use on this host.",
		Args: cobra.NoArgs,
	}
	flags := newConfigFlags(cmd.Flags())
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := p.load(flags)
		if err != nil {
			return err
		}
		for _, warning := range cfg.Warnings() {
			_, _ = fmt.Fprintf(p.stderr, "icebox: warning: %s\n", warning)
		}
		for _, shared := range cfg.Shared() {
			_, _ = fmt.Fprintf(p.stderr, "icebox: note: %s\n", shared)
		}
		p.noteRelays(cfg)
		if err := daemon.Check(cfg); err != nil {
			return &exitError{exitUsage, err}
		}
		_, err = fmt.Fprint(p.stdout, cfg.Effective())
		return failure(err)
	}
	return cmd
}

// noteRelays prints which addresses of this host the relay would use. They may be wrong for the configuration of another
// host, so nothing about them is an error.
func (p *program) noteRelays(cfg *config.Config) {
	if len(cfg.TURN.Listen) == 0 {
		return
	}
	switch r := relays(cfg); {
	case r.Err != nil:
		_, _ = fmt.Fprintf(p.stderr, "icebox: warning: on this host: %v\n", r.Err)
	case r.LastResort != "":
		_, _ = fmt.Fprintf(p.stderr, "icebox: warning: %s: %s\n", r.LastResort, r.Fix)
	default:
		_, _ = fmt.Fprintf(p.stderr, "icebox: note: on this host the relay uses %s\n", r.Addresses)
	}
}
