package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"icebox/cmd/icebox/logqueue"
	"icebox/config"
)

const (
	defaultConfig   = "/etc/icebox/icebox.yaml"
	defaultStateDir = "/var/lib/icebox"
)

const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// program is the environment and the output of the process.
type program struct {
	environ        []string
	stdout, stderr io.Writer
	queues         []*logqueue.Queue // used as stderr and stdout while the daemon runs
}

// exitError is the error of a command and its exit status. Errors of other types come from cobra and are about the
// command line.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string { return e.err.Error() }

func (e *exitError) Unwrap() error { return e.err }

// failure returns err with exitFailure as its exit status, or nil.
func failure(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{exitFailure, err}
}

// extra has the constructors of commands that only some builds have.
var extra []func(*program) *cobra.Command

// run executes the program and returns its exit status.
func run(args, environ []string, stdout, stderr io.Writer) int {
	p := &program{environ: environ, stdout: stdout, stderr: stderr}
	defer p.flush()
	root := &cobra.Command{
		Use:           "icebox",
		Short:         "A STUN/TURN server and a WebRTC signalling hub in one box",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(p.serveCommand(), p.checkCommand(), p.reloadCommand(), p.drainCommand(), p.credentialCommand(), p.healthcheckCommand(),
		p.doctorCommand(), p.importCoturnCommand(), p.versionCommand())
	for _, more := range extra {
		root.AddCommand(more(p))
	}
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	status := exitUsage
	var exit *exitError
	if errors.As(err, &exit) {
		status = exit.status
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		_, _ = fmt.Fprintf(p.stderr, "icebox: %s\n", line)
	}
	return status
}

// exactlyOne returns a check that a command got one argument. what names the argument.
func exactlyOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s needs one argument, %s, and got %d", cmd.CommandPath(), what, len(args))
		}
		return nil
	}
}

// getenv returns the value of an environment variable, or "" if it is not set.
func (p *program) getenv(name string) string {
	for _, entry := range p.environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// configFlags are the flags of every command that reads the configuration.
type configFlags struct {
	path string
	set  *pflag.FlagSet
}

// flagUsage has the usage of the flags for configuration keys.
var flagUsage = map[string]string{
	"state_dir":   "directory for generated secrets",
	"public_host": "name or address by which clients reach this host",
	"external_ip": "public address of a 1:1 NAT: PUBLIC or PUBLIC/PRIVATE, several with commas",
	"log.level":   "debug, info, warn or error",
}

func newConfigFlags(set *pflag.FlagSet) *configFlags {
	f := &configFlags{set: set}
	set.StringVarP(&f.path, "config", "c", "", "configuration `file` (default "+defaultConfig+" if it exists)")
	for key, usage := range flagUsage {
		set.String(config.FlagName(key), "", usage)
	}
	return f
}

// given returns the values of the flags on the command line, by key.
func (f *configFlags) given() map[string]string {
	given := make(map[string]string)
	for key := range flagUsage {
		if flag := f.set.Lookup(config.FlagName(key)); flag.Changed {
			given[key] = flag.Value.String()
		}
	}
	return given
}

// file returns the name of the configuration file to read, or "" if there is none.
func (p *program) file(f *configFlags) string {
	if f.set.Changed("config") {
		return f.path
	}
	if path := p.getenv(config.EnvFile); path != "" {
		return path
	}
	if _, err := os.Stat(defaultConfig); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return defaultConfig
}

// load reads the configuration. Its errors have the exit status exitUsage.
func (p *program) load(f *configFlags) (*config.Config, error) {
	cfg, err := config.Load(config.Source{
		Path:     p.file(f),
		Env:      p.environ,
		Flags:    f.given(),
		StateDir: p.stateDir(),
	})
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return cfg, nil
}

// stateDir returns the state directory that is used if the configuration does not set one.
func (p *program) stateDir() string {
	if dir, _, _ := strings.Cut(p.getenv("STATE_DIRECTORY"), ":"); dir != "" {
		return dir
	}
	home := p.getenv("HOME")
	switch xdg := p.getenv("XDG_STATE_HOME"); {
	case os.Geteuid() == 0:
		return defaultStateDir
	case filepath.IsAbs(xdg):
		return filepath.Join(xdg, "icebox")
	case home != "":
		return filepath.Join(home, ".local", "state", "icebox")
	}
	return defaultStateDir
}

// newLogger returns a logger that writes to w in the configured format. If level is not nil, newLogger sets it to the
// configured level, and later changes of level apply to the logger.
func newLogger(w io.Writer, c config.Log, level *slog.LevelVar) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	if level != nil {
		level.Set(c.Level.Level())
		options.Level = level
	}
	if c.Format == config.JSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
