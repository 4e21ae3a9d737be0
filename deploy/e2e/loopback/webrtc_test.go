package loopback

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"

	"icebox/deploy/e2e/classic"
	"icebox/deploy/e2e/server"
)

// TestCall makes a call through icebox between two Go clients. They sign in over the classic
// protocol, use the ICE servers that the sign-in returns, and may use relay candidates only. Each
// case uses the URIs of one transport.
func TestCall(t *testing.T) {
	t.Parallel()
	b := startBox(t, server.FreePorts(t), server.FreePort(t), "")
	cases := map[string]struct{ scheme, transport string }{
		"udp": {"turn", "udp"},
		"tcp": {"turn", "tcp"},
		"tls": {"turns", "tcp"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var peers []*peer
			for _, role := range []string{"caller " + name, "callee " + name} {
				signal := classic.Dial(t, fmt.Sprintf("ws://127.0.0.1:%d/ws", b.WS), classic.Options{})
				servers := only(t, signal.Login(t, role), c.scheme, c.transport)
				peers = append(peers, newPeer(t, role, signal, servers))
			}
			before := b.relayed(t, name)
			call(t, peers[0], peers[1])
			if got, least := b.relayed(t, name)-before, float64(2*mediaPackets); got < least {
				t.Errorf("the daemon relayed %v packets to clients on %s, want at least %v", got, name, least)
			}
		})
	}
}

// only returns, of the servers that a client was given, the TURN URIs with one scheme and
// transport.
func only(t *testing.T, given []classic.ICEServer, scheme, transport string) []webrtc.ICEServer {
	t.Helper()
	var kept []webrtc.ICEServer
	for _, s := range given {
		for _, u := range s.URLs {
			parsed, err := url.Parse(u)
			if err != nil {
				t.Fatalf("parse the URI %q: %v", u, err)
			}
			if parsed.Scheme == scheme && strings.TrimPrefix(parsed.RawQuery, "transport=") == transport {
				kept = append(kept, webrtc.ICEServer{URLs: []string{u}, Username: s.Username, Credential: s.Credential})
			}
		}
	}
	if len(kept) == 0 {
		t.Fatalf("no %s URI over %s came with the sign-in: %+v", scheme, transport, given)
	}
	return kept
}
