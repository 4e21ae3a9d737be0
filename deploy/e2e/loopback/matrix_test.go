package loopback

import (
	"testing"
	"time"

	"icebox/deploy/e2e/server"
)

// TestCoturnOptions runs the remaining modes of coturn's client: DONT-FRAGMENT, both address
// families in one allocation, and fifty concurrent clients. No run may lose a packet.
func TestCoturnOptions(t *testing.T) {
	t.Parallel()
	b := startBox(t, server.FreePorts(t), server.FreePort(t), "")
	peer := echo(t)
	transports := map[string][]string{"udp": {}, "tcp": {"-t"}, "dtls": {"-S"}, "tls in front": {"-t", "-p", tlsInFront(t, b.Secure)}}
	for transport, flags := range transports {
		b.run(t, transport+"/do not fragment", join(flags, peer, []string{"-X", "-g", "-n", "20"})...)
		b.run(t, transport+"/dual allocation", join(flags, []string{"-Z", "-y", "-n", "20"})...)
		// The fifty send indications (-s). With channels, each client binds two random numbers of 16,384 and exits if they are
		// the same, so one run in 330 would fail.
		b.run(t, transport+"/fifty clients", join(flags, peer, []string{"-X", "-c", "-s", "-m", "50", "-n", "10"})...)
	}
	b.run(t, "tls/fifty clients", join(oneByOne, peer, []string{"-s", "-m", "50"})...)
}

// TestCoturnMisbehaves runs coturn's client in the modes in which it violates the protocol. Each
// run must end within 30 s, whatever its result, and icebox must serve a correct client afterwards.
// In the mode "negative protocol" the client waits for responses that no server sends, coturn's own
// included, so the test stops it after 5 s.
func TestCoturnMisbehaves(t *testing.T) {
	t.Parallel()
	const soon, awhile = 30 * time.Second, 5 * time.Second
	b := startBox(t, server.FreePorts(t), server.FreePort(t), "")
	peer := echo(t)
	modes := map[string][]string{
		"negative tests":     {"-N"},
		"negative protocol":  {"-R"},
		"extra requests":     {"-G"},
		"random disconnects": {"-B"},
		"connect and exit":   {"-O"},
		"mobility":           {"-M"},
		"no permissions":     {"-I"},
		"oauth":              {"-J"},
		"tcp relays":         {"-T"},
		"passive tcp relays": {"-P"},
		"several":            {"-N", "-G", "-B"},
	}
	t.Run("modes", func(t *testing.T) {
		for mode, flags := range modes {
			for transport, over := range map[string][]string{"udp": {}, "tcp": {"-t"}, "tls": {"-t", "-S"}, "dtls": {"-S"}} {
				t.Run(mode+"/"+transport, func(t *testing.T) {
					t.Parallel()
					limit := soon
					if mode == "negative protocol" {
						limit = awhile
					}
					args := join(over, flags, peer, []string{"-X", "-m", "3", "-n", "5"}, login("127.0.0.1", b.Ports, over, secret))
					out, err := toolFor(t, limit, "turnutils_uclient", args...)
					if err != nil && err.Error() == "signal: killed" && limit == soon {
						t.Errorf("the run had not ended after %s:\n%s", limit, out)
					}
				})
			}
		}
	})
	b.run(t, "a proper client", join(peer, []string{"-X", "-n", "20"})...)
}
