package contender

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

//go:embed nodeserver.cjs
var nodeServer string

// StartSignalling starts a contender as a signalling server and waits until it accepts connections:
// Plain for ws, Secure for wss. Node.js finds ws through NODE_PATH in Options.Env.
func (c Contender) StartSignalling(ctx context.Context, o Options) (*Server, error) {
	return c.launch(ctx, o, c.writeSignalConfig, (*Server).awaitTCP)
}

// writeSignalConfig writes a contender's files and returns the arguments to start it with.
func (c Contender) writeSignalConfig(s *Server, o Options) ([]string, error) {
	certificate, key, err := writeCertificate(o.Dir, o.Address)
	if err != nil {
		return nil, err
	}
	if c.Kind == Icebox {
		path := filepath.Join(o.Dir, "icebox.conf")
		return []string{"serve", "--config", path}, os.WriteFile(path, []byte(iceboxSignalConfig(s, o, certificate, key)), 0o600)
	}
	path := filepath.Join(o.Dir, "nodeserver.cjs")
	args := []string{path, o.Address.String(), fmt.Sprint(s.Plain.Port()), fmt.Sprint(s.Secure.Port()), certificate, key}
	return args, os.WriteFile(path, []byte(nodeServer), 0o600)
}

// iceboxSignalConfig returns the configuration file for icebox as a signalling server. It includes
// a relay, so that each sign-in gets TURN credentials.
func iceboxSignalConfig(s *Server, o Options, certificate, key string) string {
	anyPort := netip.AddrPortFrom(o.Address, 0)
	lines := []string{
		fmt.Sprintf("state_dir: %q", filepath.Join(o.Dir, "state")),
		fmt.Sprintf("tls: {certificate: %q, key: %q}", certificate, key),
		"turn:",
		fmt.Sprintf("  listen: [{address: %q, transports: [udp, tcp]}]", anyPort),
		fmt.Sprintf("  relay_addresses: [%q]", o.Address),
		"http:",
		"  listen:",
		fmt.Sprintf("    - {address: %q}", s.Plain),
		fmt.Sprintf("    - {address: %q, tls: true}", s.Secure),
		fmt.Sprintf("admin: {address: %q}", anyPort),
		"signal:",
		"  limits:",
	}
	for _, limit := range []string{"messages_per_second", "message_burst", "connections", "connections_per_address", "mints", "mints_per_address"} {
		lines = append(lines, fmt.Sprintf("    %s: %d", limit, unlimited))
	}
	return strings.Join(append(lines, "shutdown: {drain: 1s}"), "\n") + "\n"
}

// awaitTCP waits until the server accepts connections on both ports.
func (s *Server) awaitTCP(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	t := time.NewTicker(probeInterval)
	defer t.Stop()
	for _, at := range []netip.AddrPort{s.Plain, s.Secure} {
		for {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", at.String())
			if err == nil {
				_ = conn.Close()
				break
			}
			select {
			case <-s.exited:
				return fmt.Errorf("it exited at once: %w", s.status)
			case <-ctx.Done():
				return fmt.Errorf("it accepts no connections: %w", err)
			case <-t.C:
			}
		}
	}
	return nil
}
