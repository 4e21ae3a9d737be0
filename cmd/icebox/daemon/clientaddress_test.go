package daemon

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"icebox/cmd/icebox/endpoints"
	"icebox/config"
	"icebox/signal"
	"icebox/turnserver/credential"
	"icebox/turnserver/limit"
)

// originOf returns the origin of a credential that the hub's provider mints for a client at a.
func originOf(t *testing.T, a netip.Addr) string {
	t.Helper()
	cfg, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("0123456789abcdef0123456789abcdef")
	provider := iceProvider(endpoints.Host{}.Catalogue(cfg, endpoints.ConfiguredPorts(cfg)), credential.NewMinter(secret), func() time.Duration { return time.Hour })
	servers, err := provider(t.Context(), signal.ICERequest{User: "alice", Addr: a})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := credential.NewVerifier(credential.VerifierOptions{Realm: "icebox", Own: secret, MaxFuture: 2 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	id, err := verifier.Verify(servers.Username, time.Now(), func([]byte) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return id.Origin
}

// TestOneClientAddress: the hub, the relay and credentials count the same addresses as one client, so limits per address agree.
func TestOneClientAddress(t *testing.T) {
	hub, err := signal.New(hubOptions(slog.New(slog.DiscardHandler), nil), signal.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hub.Shutdown(t.Context()) }()
	for name, test := range map[string]struct {
		a, b string
		same bool
	}{
		"IPv4":               {"192.0.2.1", "192.0.2.1", true},
		"IPv4 neighbours":    {"192.0.2.1", "192.0.2.2", false},
		"IPv4 and mapped":    {"192.0.2.1", "::ffff:192.0.2.1", true},
		"mapped neighbours":  {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		"IPv6 in one /64":    {"2001:db8::1", "2001:db8::ffff:0:0:1", true},
		"IPv6 in two /64s":   {"2001:db8::1", "2001:db8:0:1::1", false},
		"IPv4 and IPv6":      {"192.0.2.1", "2001:db8::1", false},
		"IPv6 with one zone": {"fe80::1%eth0", "fe80::2%eth0", true},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := netip.MustParseAddr(test.a), netip.MustParseAddr(test.b)
			if same := hub.AddrKey(a) == hub.AddrKey(b); same != test.same {
				t.Errorf("the hub counts them as one: %t", same)
			}
			connections := limit.NewConnections()
			connections.Add(a, 1, 9, func() {})
			if added, _ := connections.Add(b, 1, 9, func() {}); (added == nil) != test.same {
				t.Errorf("the relay counts them as one: %t", added == nil)
			}
			if same := originOf(t, a) == originOf(t, b); same != test.same {
				t.Errorf("credentials have one origin: %t", same)
			}
		})
	}
}
