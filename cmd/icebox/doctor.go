package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"icebox/cmd/icebox/admin"
	"icebox/cmd/icebox/doctor"
	"icebox/cmd/icebox/endpoints"
	"icebox/cmd/icebox/sockets"
	"icebox/config"
)

func (p *program) doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find problems of the configuration, the host and the daemon, and say how to fix them",
		Long: "Doctor reads the configuration, checks the host (addresses, ports, firewall, certificate, limits, Nginx,\n" +
			"Docker), asks the running daemon for its status, and relays a packet through it over each transport. It\n" +
			"changes nothing. Run it as root, because other users cannot see everything. The exit status is 1 if there\n" +
			"is a problem; warnings do not change it.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	flags := newConfigFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		findings := p.examine(cmd.Context(), flags)
		if asJSON {
			return failure(p.printJSON(findings))
		}
		return failure(p.printFindings(findings))
	}
	return cmd
}

// examine returns the doctor's findings about this host. If the configuration has mistakes, those are the only findings, because the
// other checks depend on it.
func (p *program) examine(ctx context.Context, f *configFlags) []doctor.Finding {
	if ctx == nil {
		ctx = context.Background()
	}
	cfg, err := p.load(f)
	if err != nil {
		return []doctor.Finding{{Check: "config", Level: doctor.Problem, Text: err.Error(), Fix: "correct the configuration, and run icebox check"}}
	}
	var findings []doctor.Finding
	for _, w := range cfg.Warnings() {
		findings = append(findings, doctor.Finding{Check: "config", Level: doctor.Warning, Text: w})
	}
	host, err := sockets.ThisHost()
	if err != nil {
		return append(findings, doctor.Finding{Check: "external_ip", Level: doctor.Problem, Text: err.Error()})
	}
	system := doctor.ThisHost()
	system.Addresses = host.Local
	system.Status = func(ctx context.Context) (admin.Status, error) {
		access, err := p.reach(f)
		if err != nil {
			return admin.Status{}, err
		}
		return access.Status(ctx)
	}
	system.Relay = func(ctx context.Context, t doctor.Target) (string, error) {
		c, err := p.mint(cfg, "doctor", time.Minute)
		if err != nil {
			return "", err
		}
		return doctor.RelayToSelf(ctx, t, doctor.Login{Username: c.Username, Password: c.Password})
	}
	return append(findings, doctor.Examine(ctx, system, doctor.Patient{Config: cfg, Targets: targets(cfg), Relays: relays(cfg)})...)
}

// relays returns the addresses that the relay would use on this host.
func relays(cfg *config.Config) doctor.Relays {
	host, err := endpoints.ThisHost(cfg)
	if err != nil {
		return doctor.Relays{Err: err}
	}
	choice, err := host.ChooseRelay(&cfg.TURN)
	text, fix := choice.LastResort()
	return doctor.Relays{Addresses: choice.Describe(host.Advertised), LastResort: text, Fix: fix, Err: err}
}

// targets returns the transports that a client on this host can try. There are none if the configuration does not fit the host's
// addresses; other findings report that.
func targets(cfg *config.Config) []doctor.Target {
	host, err := endpoints.ThisHost(cfg)
	if err != nil || len(host.Local) == 0 {
		return nil
	}
	var all []doctor.Target
	for _, l := range cfg.TURN.Listen {
		local := l.Address.Addr
		if !local.IsValid() || local.IsUnspecified() {
			local = host.Local[0]
			for _, a := range host.Local {
				if l.Address.Addr.IsValid() && a.Is4() == l.Address.Addr.Is4() {
					local = a
					break
				}
			}
		}
		if l.Address.Port == 0 || l.ProxyProtocol {
			continue // the port is unknown, or the listener expects a PROXY header
		}
		public := host.Advertised(local)
		for _, t := range l.Transports {
			all = append(all, doctor.Target{
				Transport: t, Public: netip.AddrPortFrom(public, l.Address.Port), Local: netip.AddrPortFrom(local, l.Address.Port),
			})
		}
	}
	return all
}

func (p *program) printJSON(findings []doctor.Finding) error {
	text, err := json.MarshalIndent(map[string]any{"findings": findings}, "", "  ")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(p.stdout, "%s\n", text); err != nil {
		return err
	}
	return verdict(findings)
}

func (p *program) printFindings(findings []doctor.Finding) error {
	for _, f := range findings {
		_, _ = fmt.Fprintf(p.stdout, "%-8s %s: %s\n", f.Level, f.Check, f.Text)
		if f.Fix != "" {
			_, _ = fmt.Fprintf(p.stdout, "%-8s fix: %s\n", "", f.Fix)
		}
	}
	return verdict(findings)
}

// verdict returns an error if there is a problem.
func verdict(findings []doctor.Finding) error {
	count := make(map[doctor.Level]int)
	for _, f := range findings {
		count[f.Level]++
	}
	if count[doctor.Problem] == 0 {
		return nil
	}
	return errors.New(plural(count[doctor.Problem], "problem") + ", " + plural(count[doctor.Warning], "warning"))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
