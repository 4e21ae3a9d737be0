package peer

import (
	"fmt"
	"net/netip"
	"testing"
)

// busy returns a policy with many rules, some of them for every address.
func busy() *Policy {
	rules := []Rule{deny("0.0.0.0/0", 25), deny("::/0", 25), allow("64:ff9b::/96")}
	for i := range 48 {
		rules = append(rules, deny(fmt.Sprintf("8.8.%d.0/24", i), 1, 1023))
	}
	return NewPolicy(rules, addrs("8.8.8.8", "2a00::7"))
}

var peers = map[string]string{
	"public IPv4":  "84.1.2.3:5000",
	"public IPv6":  "[2a01::1]:5000",
	"many rules":   "8.8.47.1:5000",
	"denied IPv4":  "192.168.1.1:5000",
	"denied IPv6":  "[fd00::1]:5000",
	"zone":         "[fe80::1%eth0]:5000",
	"inner denied": "[64:ff9b::7f00:1]:5000",
	"inner open":   "[64:ff9b::5401:203]:5000",
}

func TestPeerAllocatesNothing(t *testing.T) {
	for _, p := range []*Policy{NewPolicy(nil, nil), busy()} {
		for name, peer := range peers {
			a := netip.MustParseAddrPort(peer)
			if n := testing.AllocsPerRun(100, func() { p.Peer(a); p.Address(a.Addr()) }); n != 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
	}
}

func BenchmarkPeer(b *testing.B) {
	for policy, p := range map[string]*Policy{"default": NewPolicy(nil, addrs("203.0.113.7")), "51 rules": busy()} {
		for name, peer := range peers {
			b.Run(policy+"/"+name, func(b *testing.B) {
				a := netip.MustParseAddrPort(peer)
				b.ReportAllocs()
				for b.Loop() {
					p.Peer(a)
				}
			})
		}
	}
}
