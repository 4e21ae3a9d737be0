package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// program is the streams and global flags that the process was started with.
type program struct {
	stdout, stderr io.Writer
	json, quiet    bool
}

// failure marks an error of a command that has started to run. Other errors are about the command
// line.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

func failed(err error) error {
	if err == nil {
		return nil
	}
	return failure{err}
}

// run runs the whole program and returns its exit status.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	p := &program{stdout: stdout, stderr: stderr}
	root := &cobra.Command{
		Use:           "iceload",
		Short:         "Load TURN and signalling servers, and measure how they perform",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.PersistentFlags().BoolVar(&p.json, "json", false, "print one JSON object")
	root.PersistentFlags().BoolVarP(&p.quiet, "quiet", "q", false, "print no progress")
	root.AddCommand(p.turnCommand(), p.churnCommand(), p.memoryCommand(), p.compareCommand(), p.signalCommand())
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		_, _ = fmt.Fprintf(stderr, "iceload: %s\n", line)
	}
	if errors.As(err, new(failure)) {
		return exitFailure
	}
	return exitUsage
}

// print writes a report to standard output, as JSON or as text.
func (p *program) print(report interface{ text(io.Writer) }) error {
	if !p.json {
		report.text(p.stdout)
		return nil
	}
	e := json.NewEncoder(p.stdout)
	e.SetIndent("", "  ")
	return e.Encode(report)
}

// progress prints a line about the state of the run to standard error.
func (p *program) progress(format string, args ...any) {
	if !p.quiet {
		_, _ = fmt.Fprintf(p.stderr, format+"\n", args...)
	}
}
