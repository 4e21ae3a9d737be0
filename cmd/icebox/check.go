package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Report every mistake in the configuration, or print what is in force",
		Long: "Check reads the configuration as serve does. It reports every mistake at once and exits with 2,\n" +
			"or prints what is in force, defaults included, with secrets hidden. It opens no socket.",
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
		if _, _, err := signalLimits(cfg); err != nil {
			return &exitError{exitUsage, err}
		}
		_, err = fmt.Fprint(p.stdout, cfg.Effective())
		return failure(err)
	}
	return cmd
}
