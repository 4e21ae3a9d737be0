package relayaddr

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

// hostOf reads addresses; those of interfaces with a default route carry a "*".
func hostOf(list string) []Address {
	var out []Address
	for a := range strings.FieldsSeq(list) {
		text, routed := strings.CutSuffix(a, "*")
		out = append(out, Address{netip.MustParseAddr(text), routed})
	}
	return out
}

func TestChoose(t *testing.T) {
	for name, tt := range map[string]struct {
		host, only, named, want string
		basis                   Basis
	}{
		"dual stack":                       {"198.51.100.9* 2001:db8::5* 127.0.0.1 ::1", "", "", "198.51.100.9 2001:db8::5", Usable},
		"IPv6 only":                        {"2001:db8::5* 127.0.0.1 ::1 fe80::1*", "", "", "2001:db8::5", Usable},
		"IPv6 only, with docker":           {"2001:db8::5* 172.17.0.1 127.0.0.1 ::1", "", "", "2001:db8::5", Usable},
		"IPv4 only":                        {"198.51.100.9* 127.0.0.1 ::1 fe80::1", "", "", "198.51.100.9", Usable},
		"IPv4 only, unique-local IPv6":     {"198.51.100.9* fd00::5 127.0.0.1", "", "", "198.51.100.9", Usable},
		"private behind a NAT":             {"192.168.1.5* 172.17.0.1 127.0.0.1", "", "", "192.168.1.5", Usable},
		"unique-local with a route":        {"fd00::5* 127.0.0.1 ::1", "", "", "fd00::5", Usable},
		"two uplinks":                      {"198.51.100.9* 192.168.1.5* 10.8.0.1 127.0.0.1", "", "", "198.51.100.9 192.168.1.5", Usable},
		"link-local beside a route":        {"169.254.3.4* 10.0.0.5* fe80::1*", "", "", "10.0.0.5", Usable},
		"loopback with a route":            {"127.0.0.1* 192.0.2.9* ::1", "", "", "192.0.2.9", Usable},
		"no route":                         {"10.0.0.5 fd00::5 172.17.0.1 127.0.0.1 fe80::1", "", "", "10.0.0.5 fd00::5 172.17.0.1", Unrouted},
		"no route, public and private":     {"2a45::1 172.17.0.1 127.0.0.1 fe80::1", "", "", "2a45::1", Unrouted},
		"link-local alone":                 {"127.0.0.1 ::1 169.254.3.4 fe80::1", "", "", "169.254.3.4", LinkLocal},
		"IPv6 link-local alone":            {"127.0.0.1 ::1 fe80::1*", "", "", "127.0.0.1 ::1", Loopback},
		"loopback alone":                   {"127.0.0.1 ::1", "", "", "127.0.0.1 ::1", Loopback},
		"nothing":                          {"", "", "", "", Configured},
		"listed":                           {"10.0.0.5* 172.17.0.1 127.0.0.1", "172.17.0.1", "127.0.0.1", "172.17.0.1", Configured},
		"loopback listed":                  {"10.0.0.5* 127.0.0.1 ::1", "::1 127.0.0.1", "", "::1 127.0.0.1", Configured},
		"link-local listed":                {"10.0.0.5* 169.254.3.4", "169.254.3.4", "", "169.254.3.4", Configured},
		"loopback listened on":             {"10.0.0.5* 127.0.0.1 ::1", "", "127.0.0.1", "10.0.0.5 127.0.0.1", Usable},
		"loopback listened on, no route":   {"10.0.0.5 127.0.0.1 ::1", "", "127.0.0.1", "127.0.0.1", Usable},
		"another of 127.0.0.0/8":           {"10.0.0.5* 127.0.0.1", "", "127.0.0.9", "10.0.0.5 127.0.0.9", Usable},
		"a bridge listened on":             {"2001:db8::5* 172.17.0.1 127.0.0.1", "", "172.17.0.1", "2001:db8::5 172.17.0.1", Usable},
		"IPv4 link-local listened on":      {"10.0.0.5* 169.254.3.4", "", "169.254.3.4", "10.0.0.5 169.254.3.4", Usable},
		"IPv6 link-local listened on":      {"10.0.0.5* fe80::1", "", "fe80::1", "10.0.0.5", Usable},
		"listened on but not of this host": {"10.0.0.5 127.0.0.1", "", "10.9.9.9", "10.0.0.5", Unrouted},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Choose(hostOf(tt.host), Config{Only: addrs(tt.only), Named: addrs(tt.named)})
			if err != nil || !slices.Equal(got.Addrs, addrs(tt.want)) || got.Basis != tt.basis {
				t.Errorf("got %v, basis %d, error %v; want %s, basis %d", got.Addrs, got.Basis, err, tt.want, tt.basis)
			}
			if lastResort := tt.basis >= Unrouted; (got.Warning() != "") != lastResort {
				t.Errorf("warning %q, want one: %t", got.Warning(), lastResort)
			}
		})
	}
}

func TestChooseRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ host, only, want string }{
		"another host's":   {"10.0.0.5* 127.0.0.1", "10.0.0.5 10.9.9.9", "turn.relay_addresses[1]: 10.9.9.9 is not an address of this host"},
		"IPv6 link-local":  {"10.0.0.5* fe80::1", "fe80::1", "turn.relay_addresses[0]: fe80::1 is an IPv6 link-local address, and clients cannot be told its zone"},
		"without loopback": {"", "127.0.0.1", "turn.relay_addresses[0]: 127.0.0.1 is not an address of this host"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Choose(hostOf(tt.host), Config{Only: addrs(tt.only)}); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, error %v; want error %s", got, err, tt.want)
			}
		})
	}
}

func TestWarning(t *testing.T) {
	for name, tt := range map[string]struct{ host, want string }{
		"no route": {"10.0.0.5 fd00::5 127.0.0.1", "no interface has a default route, so TURN relays from 10.0.0.5, fd00::5 as a last resort, " +
			"and peers in other networks cannot be reached: add a default route, or set turn.relay_addresses"},
		"link-local": {"169.254.3.4 127.0.0.1", "this host has only link-local addresses, so TURN relays from 169.254.3.4 as a last resort, " +
			"and only peers on the same link can be reached: give the host another address, or set turn.relay_addresses"},
		"loopback": {"127.0.0.1 ::1", "this host has only loopback addresses, so TURN relays from 127.0.0.1, ::1 as a last resort, " +
			"and only peers on this host can be reached: give the host another address, or set turn.relay_addresses"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Choose(hostOf(tt.host), Config{})
			if err != nil || got.Warning() != tt.want {
				t.Errorf("got %q, error %v", got.Warning(), err)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	behindNAT := func(a netip.Addr) netip.Addr {
		if a == netip.MustParseAddr("10.0.0.5") {
			return netip.MustParseAddr("203.0.113.7")
		}
		return a
	}
	for list, want := range map[string]string{
		"198.51.100.9 2001:db8::5": "198.51.100.9, 2001:db8::5",
		"10.0.0.5":                 "10.0.0.5 as 203.0.113.7 (IPv4 only: a client that asks for IPv6 gets error 440)",
		"2001:db8::5":              "2001:db8::5 (IPv6 only: a client that asks for IPv4 gets error 440)",
	} {
		if got := (Choice{Addrs: addrs(list)}).Describe(behindNAT); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
