package relayaddr

import (
	"net/netip"
	"slices"
	"testing"
)

const lo, eth0, docker0, tun0 = 1, 2, 3, 4

func TestAddresses(t *testing.T) {
	interfaces := func(pairs ...any) []interfaceAddr {
		var all []interfaceAddr
		for i := 0; i < len(pairs); i += 2 {
			for _, a := range addrs(pairs[i+1].(string)) {
				all = append(all, interfaceAddr{pairs[i].(int), a})
			}
		}
		return all
	}
	for name, tt := range map[string]struct {
		all                  []interfaceAddr
		defaults             []route
		order, sources, want string
	}{
		"a route of one family": {
			interfaces(lo, "127.0.0.1 ::1", eth0, "10.0.0.5 2001:db8::5 fe80::1", docker0, "172.17.0.1"), []route{{eth0, false}},
			"2001:db8::5 10.0.0.5 172.17.0.1 127.0.0.1 ::1", "2001:db8::5", "2001:db8::5* 10.0.0.5 172.17.0.1 127.0.0.1 ::1 fe80::1*",
		},
		"several addresses of an interface": {
			interfaces(lo, "127.0.0.1", eth0, "198.51.100.9 198.51.100.10"), []route{{eth0, true}},
			"198.51.100.9 198.51.100.10 127.0.0.1", "", "198.51.100.9* 198.51.100.10* 127.0.0.1",
		},
		"two uplinks": {
			interfaces(eth0, "198.51.100.9", tun0, "10.8.0.2"), []route{{eth0, true}, {tun0, true}},
			"198.51.100.9 10.8.0.2", "198.51.100.9", "198.51.100.9* 10.8.0.2*",
		},
		"no routing table is known": {
			interfaces(lo, "127.0.0.1", eth0, "198.51.100.9 2001:db8::5", docker0, "172.17.0.1"), nil,
			"198.51.100.9 172.17.0.1 2001:db8::5 127.0.0.1", "198.51.100.9", "198.51.100.9* 172.17.0.1 2001:db8::5 127.0.0.1",
		},
		"a public address on lo": {
			interfaces(lo, "127.0.0.1 198.51.100.9", eth0, "10.0.0.5"), nil,
			"198.51.100.9 10.0.0.5 127.0.0.1", "198.51.100.9", "198.51.100.9* 10.0.0.5 127.0.0.1*",
		},
		"one address on two interfaces": {
			interfaces(docker0, "10.0.0.5", eth0, "10.0.0.5"), []route{{eth0, true}}, "10.0.0.5", "", "10.0.0.5*",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := addresses(tt.all, tt.defaults, addrs(tt.order), addrs(tt.sources)); !slices.Equal(got, hostOf(tt.want)) {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

func TestThisHost(t *testing.T) {
	first := netip.MustParseAddr("127.0.0.1")
	got, err := ThisHost([]netip.Addr{first}, nil)
	if err != nil || len(got) == 0 || got[0].Addr != first {
		t.Errorf("got %v, error %v", got, err)
	}
}
