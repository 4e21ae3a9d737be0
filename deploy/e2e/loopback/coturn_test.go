package loopback

import (
	"testing"
	"time"

	"icebox/deploy/e2e/server"
)

// TestCoturnClients runs coturn's own clients through icebox: each transport, with channels and with Send indications,
// to an echo peer and from client to client, with the RTCP pairs that ask for EVEN-PORT and reservations, and over IPv6
// (from client to client: there is but one loopback address of IPv6, and it is icebox's own). None may lose a packet.
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
			t.Errorf("a wrong secret relays:\n%s", out)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("a wrong secret was refused after %s", took)
		}
	})
}

// run is a subtest with one run of coturn's client.
func (b box) run(t *testing.T, name string, flags ...string) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		uclient(t, 8, join(flags, login("127.0.0.1", b.Ports, flags, secret))...)
	})
}
