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
		Short: "Report every mistake in the configuration, or print all settings",
		Long: "Check reads the configuration as serve does. It reports every mistake at once and exits with 2,\n" +
			"or prints all settings, including defaults, with secrets hidden. It starts nothing. On standard error it\n" +
			"prints the addresses that the relay would use on this host.",
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

// noteRelays prints the addresses of this host that the relay would use. The configuration may be meant for another host, so
// problems with them are only warnings.
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
