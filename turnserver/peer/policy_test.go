package peer

import (
	"net/netip"
	"testing"
)

func allow(prefix string, ports ...uint16) Rule { return rule(true, prefix, ports) }
func deny(prefix string, ports ...uint16) Rule  { return rule(false, prefix, ports) }

func rule(allow bool, prefix string, ports []uint16) Rule {
	r := Rule{Prefix: netip.MustParsePrefix(prefix), Allow: allow}
	if len(ports) > 0 {
		r.Ports = PortRange{ports[0], ports[len(ports)-1]}
	}
	return r
}

func addrs(s ...string) (out []netip.Addr) {
	for _, a := range s {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func byRule(r Rule) Verdict { return Verdict{r.Allow, r.String()} }

func TestRules(t *testing.T) {
	for name, c := range map[string]struct {
		rules []Rule
		own   []netip.Addr
		want  map[string]Verdict // by peer with port
	}{
		"an allow opens loopback": {
			rules: []Rule{allow("127.0.0.0/8"), allow("::1/128"), allow("192.0.2.0/24")},
			want: map[string]Verdict{
				"192.0.2.1:80":           byRule(allow("192.0.2.0/24")),
				"127.0.0.1:80":           byRule(allow("127.0.0.0/8")),
				"[::1]:80":               byRule(allow("::1/128")),
				"[::ffff:192.0.2.1]:80":  special("ipv4-mapped ::ffff:0:0/96"),
				"0.0.0.0:80":             special("this network 0.0.0.0/8"),
				"[64:ff9b::7f00:1]:80":   special("nat64 64:ff9b::/96"),
				"[2002:7f00:1::1]:80":    special("6to4 2002::/16"),
				"[2001::80ff:fffe]:80":   special("teredo 2001::/32"),
				"[::127.0.0.1]:80":       special("ipv4-compatible ::/96"),
				"[fe80::1%eth0]:80":      special("link-local fe80::/10"),
				"[::ffff:0:127.0.0.1]:1": special("ipv4-translated ::ffff:0:0:0/96"),
			},
		},
		"the longest prefix wins, in any order": {
			rules: []Rule{allow("10.0.0.0/8"), deny("10.1.0.0/16"), allow("10.1.2.0/24"), deny("10.1.2.3/32")},
			want: map[string]Verdict{
				"10.9.0.1:1": byRule(allow("10.0.0.0/8")),
				"10.1.0.1:1": byRule(deny("10.1.0.0/16")),
				"10.1.2.1:1": byRule(allow("10.1.2.0/24")),
				"10.1.2.3:1": byRule(deny("10.1.2.3/32")),
			},
		},
		"deny wins a tie": {
			rules: []Rule{allow("10.0.0.0/8"), deny("10.0.0.0/8"), allow("8.0.0.0/8", 5, 9), deny("8.0.0.0/8", 9, 12)},
			want: map[string]Verdict{
				"10.0.0.1:1": byRule(deny("10.0.0.0/8")),
				"8.8.8.8:8":  byRule(allow("8.0.0.0/8", 5, 9)),
				"8.8.8.8:9":  byRule(deny("8.0.0.0/8", 9, 12)),
				"8.8.8.8:13": allowByDefault,
			},
		},
		"ports are more specific than none, less than a longer prefix": {
			rules: []Rule{deny("8.8.0.0/16"), allow("8.8.0.0/16", 443), deny("8.0.0.0/8", 443), allow("8.8.8.0/24"), allow("10.0.0.0/8", 5000, 5009)},
			want: map[string]Verdict{
				"8.8.1.1:443":     byRule(allow("8.8.0.0/16", 443)),
				"8.8.1.1:444":     byRule(deny("8.8.0.0/16")),
				"8.1.1.1:443":     byRule(deny("8.0.0.0/8", 443)),
				"8.1.1.1:80":      allowByDefault,
				"8.8.8.8:80":      byRule(allow("8.8.8.0/24")),
				"10.0.0.1:4999":   special("private-use 10.0.0.0/8"),
				"10.0.0.1:5000":   byRule(allow("10.0.0.0/8", 5000, 5009)),
				"10.0.0.1:5009":   byRule(allow("10.0.0.0/8", 5000, 5009)),
				"10.0.0.1:5010":   special("private-use 10.0.0.0/8"),
				"192.168.1.1:443": special("private-use 192.168.0.0/16"),
			},
		},
		"own addresses come before every rule": {
			rules: []Rule{allow("0.0.0.0/0"), allow("::/0"), allow("8.8.8.8/32")},
			own:   addrs("8.8.8.8", "2a00::7", "::ffff:9.9.9.9", "fe80::5%eth0"),
			want: map[string]Verdict{
				"8.8.8.8:3478":                denyOwn,
				"9.9.9.9:80":                  denyOwn,
				"[2a00::7]:443":               denyOwn,
				"[fe80::5]:1":                 denyOwn,
				"[fe80::5%eth1]:1":            denyOwn,
				"[::ffff:8.8.8.8]:1":          denyOwn,
				"[64:ff9b::808:808]:1":        denyOwn,
				"[2002:808:808::1]:1":         denyOwn,
				"[2001::f7f7:f7f7]:1":         denyOwn, // Teredo: 8.8.8.8 inverted
				"[64:ff9b:1:2:3:4:808:808]:1": denyOwn,
				"8.8.8.9:3478":                byRule(allow("0.0.0.0/0")),
				"127.0.0.1:3478":              byRule(allow("0.0.0.0/0")),
				"[::1]:3478":                  byRule(allow("::/0")),
			},
		},
		"an open outer form leaves the inner address closed": {
			rules: []Rule{allow("::/0")},
			want: map[string]Verdict{
				"[::ffff:192.0.2.1]:1":             special("documentation 192.0.2.0/24"),
				"[::ffff:198.18.0.1]:1":            special("benchmarking 198.18.0.0/15"),
				"[::ffff:8.8.8.8]:1":               byRule(allow("::/0")),
				"[::10.0.0.1]:1":                   special("private-use 10.0.0.0/8"),
				"[::8.8.8.8]:1":                    byRule(allow("::/0")),
				"[::1]:1":                          byRule(allow("::/0")), // not IPv4-compatible
				"[::]:1":                           byRule(allow("::/0")),
				"[::2]:1":                          special("this network 0.0.0.0/8"),
				"[::ffff:0:169.254.169.254]:1":     special("link-local 169.254.0.0/16"),
				"[64:ff9b::a9fe:a9fe]:1":           special("link-local 169.254.0.0/16"),
				"[64:ff9b::808:808]:1":             byRule(allow("::/0")),
				"[64:ff9b:1:abcd::a00:1]:1":        special("private-use 10.0.0.0/8"),
				"[64:ff9b:1:abcd::808:808]:1":      byRule(allow("::/0")),
				"[2002:c0a8:101::1]:1":             special("private-use 192.168.0.0/16"),
				"[2002:808:808::c0a8:101]:1":       byRule(allow("::/0")),
				"[2001:0:808:808:0:0:3f57:fefe]:1": special("private-use 192.168.0.0/16"),
				"[2001:0:c0a8:101::f7f7:f7f7]:1":   byRule(allow("::/0")),
			},
		},
		"a denied inner address closes the outer form": {
			rules: []Rule{allow("64:ff9b::/96"), allow("2002::/16"), allow("2001::/32"), deny("8.8.8.0/24"), deny("9.9.9.9/32", 53)},
			want: map[string]Verdict{
				"[64:ff9b::808:808]:1":     byRule(deny("8.8.8.0/24")),
				"[64:ff9b::808:908]:1":     byRule(allow("64:ff9b::/96")),
				"[2002:808:808::1]:1":      byRule(deny("8.8.8.0/24")),
				"[2001::f7f7:f7f7]:1":      byRule(deny("8.8.8.0/24")),
				"[64:ff9b::909:909]:53":    byRule(deny("9.9.9.9/32", 53)),
				"[64:ff9b::909:909]:54":    byRule(allow("64:ff9b::/96")),
				"[64:ff9b::1:808:808]:443": allowByDefault, // not in the /96
			},
		},
		"an IPv4-mapped rule denies IPv4 and doesn't allow it": {
			rules: []Rule{deny("::ffff:8.8.8.0/120"), allow("::ffff:10.0.0.0/104")},
			want: map[string]Verdict{
				"8.8.8.8:1":           byRule(deny("8.8.8.0/24")),
				"[::ffff:8.8.8.8]:1":  byRule(deny("::ffff:8.8.8.0/120")),
				"10.0.0.1:1":          special("private-use 10.0.0.0/8"),
				"[::ffff:10.0.0.1]:1": special("private-use 10.0.0.0/8"),
			},
		},
		"host bits are ignored": {
			rules: []Rule{allow("10.1.2.3/8"), deny("2a00::7/16", 1, 65535)},
			want: map[string]Verdict{
				"10.9.9.9:1":   {true, "allow 10.0.0.0/8"},
				"[2a00::8]:80": {false, "deny 2a00::/16 ports 1-65535"},
			},
		},
		"port 0": {
			rules: []Rule{allow("0.0.0.0/0")},
			want:  map[string]Verdict{"8.8.8.8:0": denyPort0},
		},
		"malformed rules fail closed": {
			rules: []Rule{{}, {Allow: true}, allow("10.0.0.0/8", 9, 5), deny("8.0.0.0/8", 9, 5)},
			want: map[string]Verdict{
				"10.0.0.1:7": special("private-use 10.0.0.0/8"),
				"8.8.8.8:7":  byRule(deny("8.0.0.0/8")),
				"9.9.9.9:7":  allowByDefault,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPolicy(c.rules, c.own)
			for peer, want := range c.want {
				if got := p.Peer(netip.MustParseAddrPort(peer)); got != want {
					t.Errorf("Peer(%s) = %+v, want %+v", peer, got, want)
				}
			}
		})
	}
}

func TestAddress(t *testing.T) {
	p := NewPolicy([]Rule{
		deny("8.8.8.0/24", 1, 1023),
		deny("8.8.9.0/24", 1, 32767), deny("8.8.9.0/24", 32768, 65535),
		deny("8.8.10.0/24", 2, 65535),
		deny("8.8.11.0/24", 1, 65534),
		deny("8.8.12.0/24", 1, 65535), allow("8.8.12.0/24", 443), // tie: deny
		deny("8.8.13.0/24", 0, 65535),
		allow("10.0.0.0/8", 443),
		deny("10.1.0.0/16", 400, 500),
		allow("64:ff9b::/96", 443), deny("9.9.9.9/32", 443), deny("9.9.9.8/32", 1, 442),
	}, addrs("8.8.8.1"))
	for a, want := range map[string]bool{
		"8.8.8.8":           true,
		"8.8.8.1":           false, // own
		"8.8.9.1":           false,
		"8.8.10.1":          true, // port 1
		"8.8.11.1":          true, // port 65535
		"8.8.12.1":          false,
		"8.8.13.1":          false,
		"10.0.0.1":          true,
		"10.1.0.1":          false,
		"192.168.0.1":       false,
		"64:ff9b::808:808":  false, // 443 outside, all but 1-1023 inside
		"64:ff9b::909:909":  false,
		"64:ff9b::909:908":  true,
		"64:ff9b::c0a8:101": false,
		"1.1.1.1":           true,
	} {
		if got := p.Address(netip.MustParseAddr(a)); got.Allowed != want {
			t.Errorf("Address(%s) = %+v", a, got)
		}
	}
	if got := p.Address(netip.Addr{}); got != denyInvalid {
		t.Errorf("no address: %+v", got)
	}
	if got := p.Peer(netip.AddrPort{}); got != denyInvalid {
		t.Errorf("no peer: %+v", got)
	}
}

func TestRuleStrings(t *testing.T) {
	for want, r := range map[string]Rule{
		"allow 10.0.0.0/8":               allow("10.1.0.0/8"),
		"deny 198.51.100.0/24 ports 1-5": deny("198.51.100.0/24", 1, 5),
		"deny 2a00::/16 port 443":        deny("2a00::/16", 443),
	} {
		if got := r.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := (PortRange{}).String(); got != "every port" {
		t.Error(got)
	}
}

func TestValidate(t *testing.T) {
	for want, r := range map[string]Rule{
		"":               allow("10.0.0.0/8", 1, 1),
		"invalid prefix": {Allow: true},
		"ports 9-5: first port is greater than the last": deny("10.0.0.0/8", 9, 5),
	} {
		got := ""
		if err := r.Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%v: %q, want %q", r, got, want)
		}
	}
}
