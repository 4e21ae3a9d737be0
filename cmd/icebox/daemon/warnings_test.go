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
