package sockets

import (
	"net/netip"
	"testing"
)

func TestAddrAndIndexAreInverse(t *testing.T) {
	layouts := map[string]addressRange{"clients": clientAddrs, "peers": peerAddrs(netip.MustParseAddr("127.0.0.2"))}
	for name, l := range layouts {
		t.Run(name, func(t *testing.T) {
			for _, i := range []int{0, 1, 63, 64, 16383, 16384, 100_000, l.size() - 1} {
				a := l.addr(i)
				if got, ok := l.index(a); !ok || got != i || !a.IsLoopback() {
					t.Errorf("address %d is %v, whose index is %d (found: %v)", i, a, got, ok)
				}
			}
		})
	}
}

func TestAddressesOutsideTheRangeHaveNoIndex(t *testing.T) {
	for _, a := range []string{"127.0.0.1", "127.64.0.0", "127.64.0.255", "127.128.0.1", "10.0.0.1", "::1", "255.255.255.255"} {
		if i, ok := clientAddrs.index(netip.MustParseAddr(a)); ok {
			t.Errorf("%s is taken for client %d", a, i)
		}
	}
	if i, ok := peerAddrs(netip.MustParseAddr("127.0.0.2")).index(netip.MustParseAddr("127.0.0.1")); ok {
		t.Errorf("127.0.0.1 is taken for peer %d", i)
	}
}

// A server may limit the traffic of one /24.
func TestClientsAreInDifferentNetworks(t *testing.T) {
	seen := make(map[netip.Prefix]bool)
	for i := range 10_000 {
		p, err := clientAddrs.addr(i).Prefix(24)
		if err != nil {
			t.Fatal(err)
		}
		if seen[p] {
			t.Fatalf("client %d is in %v, as an earlier client is", i, p)
		}
		seen[p] = true
	}
}
