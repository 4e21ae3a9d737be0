package daemon

import (
	"net/netip"
	"strings"
	"testing"

	"icebox/config"
)

func TestReachWarning(t *testing.T) {
	for list, want := range map[string]string{
		"":                                "",
		"8.8.8.8":                         "",
		"10.0.0.5 2a00:1450::1":           "",
		"127.0.0.1 ::1":                   "STUN and TURN listen only on loopback addresses, so only programs on this host can reach them: set turn.listen",
		"10.0.0.5 100.64.0.9 fd00::5 ::1": "STUN and TURN have only private addresses (10.0.0.5, 100.64.0.9, fd00::5), which clients outside this network cannot reach: set external_ip to this host's public address",
	} {
		var addrs []netip.Addr
		for a := range strings.FieldsSeq(list) {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		if got := reachWarning(addrs); got != want {
			t.Errorf("%q: got %q, want %q", list, got, want)
		}
	}
}

func TestAccessWarnings(t *testing.T) {
	anyone := "anyone who reaches http.listen[1] (:9090) may sign in and relay at your cost: set signal.access: key"
	for name, test := range map[string]struct {
		env  []string
		want string
	}{
		"loopback":              {nil, ""},
		"every address":         {[]string{"ICEBOX_HTTP_LISTEN=127.0.0.1:8080,:9090"}, anyone},
		"every address, by key": {[]string{"ICEBOX_HTTP_LISTEN=:9090", "ICEBOX_SIGNAL_ACCESS=key", "ICEBOX_SIGNAL_KEYS=[{name: a, key: 0123456789abcdef}]"}, ""},
		"a public host":         {[]string{"ICEBOX_PUBLIC_HOST=turn.example.org"}, "if a proxy forwards clients of turn.example.org to this host, anyone may sign in and relay at your cost: set signal.access: key"},
		"localhost":             {[]string{"ICEBOX_PUBLIC_HOST=localhost"}, ""},
		"no signalling":         {[]string{"ICEBOX_PUBLIC_HOST=turn.example.org", "ICEBOX_HTTP_LISTEN=[]"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := config.Load(config.Source{Env: test.env})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(accessWarnings(cfg), "\n"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// The operator learns when clients reach TURN at a public address and the relay has none of that family.
func TestUnreachableRelays(t *testing.T) {
	addrs := func(list string) (all []netip.Addr) {
		for _, a := range strings.Fields(list) {
			all = append(all, netip.MustParseAddr(a))
		}
		return all
	}
	for name, tt := range map[string]struct{ listen, relay, want string }{
		"both families":              {"45.0.0.1 2a45::1", "45.0.0.1 2a45::1", ""},
		"no IPv4 route at the start": {"45.0.0.1 2a45::1", "2a45::1", "clients reach TURN at 45.0.0.1, but the relay has no public IPv4 address"},
		"no IPv6 route at the start": {"45.0.0.1 2a45::1", "45.0.0.1", "clients reach TURN at 2a45::1, but the relay has no public IPv6 address"},
		"public address on loopback": {"47.0.0.7 10.0.0.5", "10.0.0.5", "clients reach TURN at 47.0.0.7, but the relay has no public IPv4 address"},
		"a container bridge":         {"2a45::1 172.17.0.1", "2a45::1", ""},
		"a LAN":                      {"192.168.1.5", "192.168.1.5", ""},
	} {
		got := strings.Join(unreachableRelays(addrs(tt.listen), addrs(tt.relay)), "; ")
		if tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
