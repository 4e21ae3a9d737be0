package loopback

import (
	"testing"
	"time"

	"icebox/deploy/e2e/server"
)

// TestCoturnClients runs coturn's own clients against icebox. It uses each transport, channels and
// Send indications, an echo peer and client-to-client relaying, RTCP pairs (which use EVEN-PORT and
// reservations), and IPv6. Over IPv6 only client-to-client works, because the single IPv6 loopback
// address is icebox's own. No run may lose a packet.
func TestCoturnClients(t *testing.T) {
	t.Parallel()
	b := startBox(t, server.FreePorts(t), server.FreePort(t), "")
	peer := echo(t)
	runs := map[string][]string{
		"channels":            join(peer, []string{"-X", "-n", "20"}),
		"indications":         join(peer, []string{"-X", "-s", "-n", "20"}),
		"padded channel data": join(peer, []string{"-X", "-D", "-n", "20", "-l", "101"}),
		"client to client":    {"-y", "-n", "20"},
		"ten without RTCP":    {"-y", "-c", "-n", "50", "-m", "10", "-l", "170"},
	}
	for name, flags := range runs {
		b.run(t, "udp/"+name, flags...)
		b.run(t, "tcp/"+name, join([]string{"-t"}, flags)...)
		b.run(t, "dtls/"+name, join([]string{"-S"}, flags)...)
		b.run(t, "tls in front/"+name, join([]string{"-t", "-p", tlsInFront(t, b.Secure)}, flags)...)
	}
	b.run(t, "tls/channels", join(oneByOne, peer)...)
	b.run(t, "tls/indications", join(oneByOne, peer, []string{"-s"})...)
	for transport, flags := range map[string][]string{"udp": {}, "tcp": {"-t"}, "dtls": {"-S"}} {
		t.Run(transport+"/IPv6", func(t *testing.T) {
			t.Parallel()
			uclient(t, 20, join(flags, []string{"-x", "-y", "-c", "-n", "20"}, login("::1", b.Ports, flags, secret))...)
		})
	}
	t.Run("tls/IPv6", func(t *testing.T) {
		t.Parallel()
		uclient(t, 8, join(oneByOne, peer, login("::1", b.Ports, oneByOne, secret))...)
	})
	t.Run("stun", func(t *testing.T) {
		t.Parallel()
		stunclient(t, "127.0.0.1", b.Ports)
		stunclient(t, "::1", b.Ports)
	})
	t.Run("wrong secret", func(t *testing.T) {
		t.Parallel()
		begun := time.Now()
		args := join(peer, login("127.0.0.1", b.Ports, nil, "not the secret of this relay"))
		if out, err := tool(t, "turnutils_uclient", args...); err == nil {
			t.Errorf("a client with a wrong secret could relay:\n%s", out)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("a wrong secret was refused after %s", took)
		}
	})
}

// run starts a subtest with one run of coturn's client.
func (b box) run(t *testing.T, name string, flags ...string) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		uclient(t, 8, join(flags, login("127.0.0.1", b.Ports, flags, secret))...)
	})
}
