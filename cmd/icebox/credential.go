package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"icebox/cmd/icebox/endpoints"
	"icebox/cmd/icebox/statedir"
	"icebox/config"
	"icebox/turnserver/credential"
)

// credentialOptions are the flags of the command credential.
type credentialOptions struct {
	ttl  time.Duration
	host string
	dtls bool
	json bool
}

func (p *program) credentialCommand() *cobra.Command {
	var o credentialOptions
	cmd := &cobra.Command{
		Use:   "credential NAME",
		Short: "Mint a TURN credential, to paste into a trickle-ICE page or a program",
		Long: "Credential mints a time-limited TURN credential for the user called NAME with the secret that the\n" +
			"daemon generated at its first start. Run it on the daemon's host, as root or as the daemon's user,\n" +
			"with the same configuration.",
		Args: exactlyOne("the user's name"),
	}
	cmd.Flags().DurationVar(&o.ttl, "ttl", 0, "lifetime of the credential (default: credentials.ttl)")
	cmd.Flags().StringVar(&o.host, "host", "", "`host` in the URIs when public_host is not set")
	cmd.Flags().BoolVar(&o.dtls, "dtls", false, "include TURN over DTLS, which browsers do not support")
	cmd.Flags().BoolVar(&o.json, "json", false, "print only the ICE servers, as JSON")
	flags := newConfigFlags(cmd.Flags())
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		cfg, err := p.load(flags)
		if err != nil {
			return err
		}
		if o.ttl == 0 && !cmd.Flags().Changed("ttl") {
			o.ttl = cfg.Credentials.TTL
		}
		if o.ttl < time.Second || o.ttl > cfg.Credentials.MaxFuture {
			return fmt.Errorf("--ttl: want 1s to %s (credentials.max_future), got %s", cfg.Credentials.MaxFuture, o.ttl)
		}
		return failure(p.credential(cfg, args[0], o))
	}
	return cmd
}

// iceServer is an RTCIceServer.
type iceServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

func (p *program) credential(cfg *config.Config, name string, o credentialOptions) error {
	c, err := p.mint(cfg, name, o.ttl)
	if err != nil {
		return err
	}
	host, err := endpoints.ThisHost(cfg)
	if err != nil {
		return err
	}
	stun, turn := host.Catalogue(cfg, endpoints.ConfiguredPorts(cfg)).URIs(o.host, o.dtls)
	servers := []iceServer{}
	if len(stun) > 0 {
		servers = append(servers, iceServer{URLs: stun})
	}
	if len(turn) > 0 {
		servers = append(servers, iceServer{turn, c.Username, c.Password})
	}
	text, err := json.Marshal(map[string]any{"iceServers": servers})
	if err != nil {
		return fmt.Errorf("print credential: %w", err)
	}
	if o.json {
		_, err = fmt.Fprintf(p.stdout, "%s\n", text)
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "username  %s\npassword  %s\nexpires   %s (in %s)\nuris      %s\n\n%s\n",
		c.Username, c.Password, c.Expires.Local().Format(time.RFC1123), o.ttl,
		strings.Join(append(stun, turn...), "\n          "), text)
	return err
}

// mint mints a credential with the daemon's secret. It does not generate a secret, because a daemon that runs as another user or
// with another state directory would not accept its credentials.
func (p *program) mint(cfg *config.Config, name string, ttl time.Duration) (credential.Credential, error) {
	var none credential.Credential
	dir, err := statedir.OpenExisting(cfg.StateDir, newLogger(p.stderr, cfg.Log, nil))
	var secret []byte
	if err == nil {
		secret, err = dir.ReadSecret(statedir.MintingSecret)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return none, fmt.Errorf("no secret to mint with in %s: start the daemon once, or name its directory with --state-dir", cfg.StateDir)
	case errors.Is(err, fs.ErrPermission):
		return none, fmt.Errorf("%w: run this as root or as the daemon's user", err)
	case err != nil:
		return none, err
	}
	return credential.NewMinter(secret).Mint(name, ttl, time.Now())
}
