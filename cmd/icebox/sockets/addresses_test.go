package sockets

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func addrs(list string) []netip.Addr {
	var out []netip.Addr
	for a := range strings.FieldsSeq(list) {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func TestOrder(t *testing.T) {
	local := addrs("127.0.0.1 ::1 172.17.0.1 10.0.0.5 fe80::1 169.254.3.4 2001:db8::5 fd00::5 198.51.100.9")
	got := newHost(local, addrs("10.0.0.5 2001:db8::5")).Local
	if want := addrs("10.0.0.5 2001:db8::5 198.51.100.9 172.17.0.1 fd00::5 127.0.0.1 ::1"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestThisHost(t *testing.T) {
	h, err := ThisHost()
	if err != nil || !slices.Contains(h.Local, netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("got %v, %v", h.Local, err)
	}
}

func TestComplete(t *testing.T) {
	for name, test := range map[string]struct {
		local, routed, public, private, want string
	}{
		"given":          {"10.0.0.5 10.0.0.6", "", "203.0.113.7", "10.0.0.6", "10.0.0.6"},
		"the only one":   {"10.0.0.5 127.0.0.1 fd00::5", "", "203.0.113.7", "", "10.0.0.5"},
		"the routed one": {"172.17.0.1 10.0.0.5", "10.0.0.5", "203.0.113.7", "", "10.0.0.5"},
		"IPv6":           {"10.0.0.5 fd00::5", "10.0.0.5", "2001:db8::7", "", "fd00::5"},
		"itself":         {"203.0.113.7", "", "203.0.113.7", "", "203.0.113.7"},
		"ambiguous":      {"172.17.0.1 10.0.0.5", "", "203.0.113.7", "", "external_ip[0]: private is missing: which address of this host is behind 203.0.113.7, one of 172.17.0.1, 10.0.0.5?"},
		"none":           {"fd00::5", "", "203.0.113.7", "", "external_ip[0]: private is missing: which address of this host is behind 203.0.113.7, one of none?"},
		"not ours":       {"10.0.0.5", "", "203.0.113.7", "10.0.0.6", "external_ip[0]: private 10.0.0.6 is not an address of this host, which has 10.0.0.5"},
	} {
		t.Run(name, func(t *testing.T) {
			pair := Pair{Public: netip.MustParseAddr(test.public)}
			if test.private != "" {
				pair.Private = netip.MustParseAddr(test.private)
			}
			var got string
			out, err := newHost(addrs(test.local), addrs(test.routed)).Complete([]Pair{pair})
			if err != nil {
				got = err.Error()
			} else {
				got = out[0].Private.String()
			}
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestAdvertised(t *testing.T) {
	a := addrs("10.0.0.5 203.0.113.7 10.0.0.6")
	pairs := []Pair{{Public: a[1], Private: a[0]}}
	if Advertised(pairs, a[0]) != a[1] || Advertised(pairs, a[2]) != a[2] {
		t.Error("the wrong address is advertised")
	}
}
