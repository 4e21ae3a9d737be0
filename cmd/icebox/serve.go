package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"icebox/config"
)

func (p *program) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon until SIGTERM or SIGINT",
		Long: "Serve runs STUN/TURN, signalling and pages. Without a configuration file it starts on safe defaults:\n" +
			"STUN and TURN on port 3478, pages and signalling on http://127.0.0.1:8080, metrics on 127.0.0.1:9641.",
		Args: cobra.NoArgs,
	}
	flags := newConfigFlags(cmd.Flags())
	cmd.RunE = func(*cobra.Command, []string) error {
		cfg, err := p.load(flags)
		if err != nil {
			return err
		}
		return failure(p.serve(cfg, p.credentialLine(flags)))
	}
	return cmd
}

// serve runs the daemon. A signal begins the shutdown, a second one ends the
// wait for it.
func (p *program) serve(cfg *config.Config, credentialLine string) error {
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(stop)

	began := time.Now()
	log := newLogger(p.stderr, cfg.Log)
	d, err := start(cfg, log)
	if err != nil {
		return err
	}
	log.Info("ready", "took", time.Since(began).Round(time.Millisecond))
	_, _ = fmt.Fprint(p.stdout, d.banner(credentialLine))
	manager := p.getenv("NOTIFY_SOCKET")
	if err := notify(manager, "READY=1"); err != nil {
		log.Warn(err.Error())
	}

	var reason error
	select {
	case s := <-stop:
		log.Info("shutting down", "signal", s.String())
	case reason = <-d.failed:
		log.Error("shutting down", "error", reason)
	}
	_ = notify(manager, "STOPPING=1")

	ended := make(chan error, 1)
	go func() { ended <- d.shutdown() }()
	select {
	case err := <-ended:
		if reason == nil {
			reason = err
		}
		log.Info("stopped")
		return reason
	case s := <-stop:
		return fmt.Errorf("ended by a second signal, %s, before the shutdown was done", s)
	}
}

// credentialLine is the command that mints a credential with the configuration
// of this process.
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
