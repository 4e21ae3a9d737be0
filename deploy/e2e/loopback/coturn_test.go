package loopback

import (
	"testing"
	"time"

	"icebox/deploy/e2e/server"
)

// TestCoturnClients runs coturn's own clients through icebox: each transport, with channels and with Send indications,
// to an echo peer and from client to client, with the RTCP pairs that ask for EVEN-PORT and reservations. None may lose a
// packet.
func TestCoturnClients(t *testing.T) {
	t.Parallel()
	b := startBox(t, server.FreePorts(t), server.FreePort(t), "")
	peer4, peer6 := echo(t, "127.0.0.1"), echo(t, "::1")
	runs := map[string][]string{
		"channels":            join(peer4, []string{"-X", "-n", "20"}),
		"indications":         join(peer4, []string{"-X", "-s", "-n", "20"}),
		"client to client":    {"-y", "-n", "20"},
		"ten without RTCP":    {"-y", "-c", "-n", "50", "-m", "10", "-l", "170"},
		"padded channel data": join(peer4, []string{"-X", "-D", "-n", "20", "-l", "101"}),
	}
	for name, transport := range transports {
		for run, flags := range runs {
			t.Run(name+"/"+run, func(t *testing.T) {
				t.Parallel()
				uclient(t, 20, join(transport.flags, flags, login("127.0.0.1", b.Ports, transport.secure, secret))...)
			})
		}
		t.Run(name+"/IPv6", func(t *testing.T) {
			t.Parallel()
			uclient(t, 20, join(transport.flags, peer6, []string{"-x", "-n", "20"}, login("::1", b.Ports, transport.secure, secret))...)
		})
	}
	t.Run("stun", func(t *testing.T) {
		t.Parallel()
		stunclient(t, "127.0.0.1", b.Ports)
		stunclient(t, "::1", b.Ports)
	})
	t.Run("wrong secret", func(t *testing.T) {
		t.Parallel()
		start := time.Now()
		args := join(peer4, login("127.0.0.1", b.Ports, false, "not the secret of this relay"))
		if out, err := tool(t, "turnutils_uclient", args...); err == nil {
			t.Errorf("a wrong secret relays:\n%s", out)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("a wrong secret was refused after %s", took)
		}
	})
}
