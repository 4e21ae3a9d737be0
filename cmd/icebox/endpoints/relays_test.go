package endpoints

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"icebox/cmd/icebox/sockets"
	"icebox/config"
)

// TestNamedAddrs: an address that a setting names is used for relaying if packets of clients reach it.
func TestNamedAddrs(t *testing.T) {
	for name, tt := range map[string]struct{ listen, want string }{
		"the default":      {"", "10.0.0.5"},
		"every address":    {`[{address: ":3478"}, {address: "0.0.0.0:3479"}, {address: "[::]:3479"}]`, "10.0.0.5"},
		"loopback":         {`[{address: "127.0.0.1:3478"}, {address: "[::1]:3478"}]`, "10.0.0.5 127.0.0.1 ::1"},
		"behind a proxy":   {`[{address: "127.0.0.1:3478", transports: [tcp], proxy_protocol: true}, {address: "198.51.100.9:3478"}]`, "10.0.0.5 198.51.100.9"},
		"reached by a NAT": {`[{address: "127.0.0.1:3478", transports: [tcp], public: "turn.example.org:443"}]`, "10.0.0.5"},
	} {
		t.Run(name, func(t *testing.T) {
			var env []string
			if tt.listen != "" {
				env = []string{"ICEBOX_TURN_LISTEN=" + tt.listen}
			}
			cfg, err := config.Load(config.Source{Env: env})
			if err != nil {
				t.Fatal(err)
			}
			pairs := []sockets.Pair{{Public: netip.MustParseAddr("203.0.113.7"), Private: netip.MustParseAddr("10.0.0.5")}}
			var want []netip.Addr
			for a := range strings.FieldsSeq(tt.want) {
				want = append(want, netip.MustParseAddr(a))
			}
			if got := namedAddrs(cfg.TURN.Listen, pairs); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
