package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"icebox/cmd/icebox/daemon"
	"icebox/config"
)

func (p *program) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon until SIGTERM or SIGINT",
		Long: "Serve runs STUN/TURN, signalling and web pages. Without a configuration file it uses safe defaults:\n" +
			"STUN and TURN on port 3478, pages and signalling on http://127.0.0.1:8080, metrics on 127.0.0.1:9641.\n" +
			"SIGHUP makes it read its configuration again, as icebox reload does.",
		Args: cobra.NoArgs,
	}
	flags := newConfigFlags(cmd.Flags())
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := p.load(flags)
		if err != nil {
			return err
		}
		load := func() (*config.Config, error) { return p.load(flags) }
		return failure(p.serve(cfg, load, p.credentialLine(flags)))
	}
	return cmd
}

// serve runs the daemon until a signal, the command drain or a failure ends it.
func (p *program) serve(cfg *config.Config, load func() (*config.Config, error), credentialLine string) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)

	began := time.Now()
	p.useQueues(cfg.Log)
	level := new(slog.LevelVar)
	log := p.daemonLogger(cfg.Log, level)
	d, err := daemon.Start(daemon.Options{
		Config: cfg, Load: load, Log: log, Level: level, Version: versionLine(), Collectors: p.queues[0].Collectors(),
		NotifySocket: p.getenv("NOTIFY_SOCKET"), WatchdogInterval: p.watchdogInterval(),
	})
	if err != nil {
		return err
	}
	log.Info("ready", "took", time.Since(began).Round(time.Millisecond))
	_, _ = fmt.Fprint(p.stdout, d.Banner(credentialLine))
	return d.Run(signals)
}

// watchdogInterval returns the interval in which the service manager expects a ping from this process, or 0 if it expects none.
// See sd_watchdog_enabled(3).
func (p *program) watchdogInterval() time.Duration {
	if pid := p.getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	n, err := strconv.ParseInt(p.getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}

// credentialLine returns the command line that mints a credential with the configuration of this process.
func (p *program) credentialLine(f *configFlags) string {
	line := []string{"icebox"}
	if self, err := os.Executable(); err == nil && strings.Contains(self, "/go-build") {
		line = []string{"go run ./cmd/icebox"}
	}
	line = append(line, "credential alice")
	if path := p.file(f); path != "" && path != defaultConfig {
		line = append(line, "--config "+path)
	}
	given := f.given()
	for _, key := range []string{"state_dir", "public_host", "external_ip"} {
		if value, ok := given[key]; ok {
			line = append(line, "--"+config.FlagName(key)+" "+value)
		}
	}
	return strings.Join(line, " ")
}
