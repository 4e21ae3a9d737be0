package flow

import (
	"net/netip"
	"sync"
	"testing"
)

var (
	peer1 = netip.MustParseAddrPort("192.0.2.1:1000")
	peer2 = netip.MustParseAddrPort("192.0.2.1:2000")
	peer3 = netip.MustParseAddrPort("[2001:db8::1]:1000")
)

func addrs(peers ...netip.AddrPort) []netip.Addr {
	var list []netip.Addr
	for _, p := range peers {
		list = append(list, p.Addr())
	}
	return list
}

// look asks both ways at once: what a packet from peer meets, and the channel with number.
func look(t *testing.T, tab *Table, peer netip.AddrPort, number uint16, now int64, permitted, bound bool) {
	t.Helper()
	c, ok := tab.From(peer, now)
	if ok != permitted || (c != nil) != (bound && permitted) {
		t.Errorf("at %d: From(%v) = %v, %v", now, peer, c, ok)
	}
	if c, ok := tab.Bound(number, now); ok != bound || ok && c.Peer != peer {
		t.Errorf("at %d: Bound(%#x) = %v, %v", now, number, c, ok)
	}
}

func TestPermissionIsPerAddressAndEnds(t *testing.T) {
	var tab Table
	look(t, &tab, peer1, 0x4000, 0, false, false)
	tab.Permit(addrs(peer1, peer3), 0, 300)
	look(t, &tab, peer1, 0x4000, 299, true, false)
	look(t, &tab, peer2, 0x4000, 299, true, false) // any port of the address
	look(t, &tab, peer3, 0x4000, 299, true, false)
	look(t, &tab, peer1, 0x4000, 300, false, false)
	tab.Permit(addrs(peer1), 300, 600)
	look(t, &tab, peer1, 0x4000, 599, true, false)
}

// A bound channel permits its peer's address, any port of it, for as long as the channel lasts. CreatePermission
// does not cut that short, and may outlast the channel.
func TestChannelPermitsItsPeer(t *testing.T) {
	var tab Table
	tab.Bind(0x4000, peer1, 0, 600)
	tab.Permit(addrs(peer2), 10, 310)
	tab.Permit(addrs(peer3), 400, 700) // a write, which removes expired entries
	look(t, &tab, peer1, 0x4000, 599, true, true)
	look(t, &tab, peer2, 0x4001, 599, true, false)
	look(t, &tab, peer1, 0x4000, 600, false, false)
	look(t, &tab, peer2, 0x4001, 600, false, false)
	tab.Permit(addrs(peer2), 500, 800)
	look(t, &tab, peer1, 0x4000, 799, true, false) // the channel ended, the permission did not
	look(t, &tab, peer1, 0x4000, 800, false, false)
	tab.Bind(0x4001, peer1, 900, 1500)
	look(t, &tab, peer1, 0x4001, 1499, true, true)
	if _, ok := tab.Bound(0x4000, 900); ok {
		t.Error("the old number is still bound")
	}
}

// A channel that is refreshed before its end carries its permission along.
func TestRefreshedChannelPermitsItsPeer(t *testing.T) {
	var tab Table
	for now := int64(0); now <= 5000; now += 500 {
		tab.Bind(0x4000, peer1, now, now+600)
		look(t, &tab, peer1, 0x4000, now+500, true, true)
	}
	look(t, &tab, peer1, 0x4000, 5600, false, false)
}

// The end of a channel does not affect a newer channel to the same peer.
func TestNewerChannelToThePeer(t *testing.T) {
	var tab Table
	tab.Bind(0x4000, peer1, 0, 600)
	tab.Bind(0x4001, peer1, 599, 1199)
	tab.Permit(addrs(peer3), 601, 901) // a write, which removes the expired channel
	look(t, &tab, peer1, 0x4001, 602, true, true)
}

func TestRebinding(t *testing.T) {
	var tab Table
	tab.Bind(0x4000, peer1, 0, 600)
	before, _ := tab.Bound(0x4000, 1)
	tab.Bind(0x4000, peer1, 100, 700)
	after, _ := tab.Bound(0x4000, 101)
	if before != after {
		t.Error("a refreshed channel is another one")
	}
	tab.Bind(0x4000, peer3, 200, 800) // the state machine said so: it wins
	look(t, &tab, peer3, 0x4000, 799, true, true)
	if c, ok := tab.From(peer1, 300); c != nil || !ok {
		t.Errorf("the old peer: %v, %v", c, ok)
	}
}

func TestRoom(t *testing.T) {
	var tab Table
	if tab.RoomFor(addrs(peer1, peer3), 0, 1) || !tab.RoomFor(addrs(peer1, peer3), 0, 2) {
		t.Error("room in an empty table")
	}
	tab.Permit(addrs(peer1), 0, 300)
	if !tab.RoomFor(addrs(peer1, peer2), 0, 1) || tab.RoomFor(addrs(peer3), 0, 1) || !tab.RoomFor(addrs(peer3), 300, 1) {
		t.Error("room for permissions: a refresh is free, an ended one makes room")
	}
	if !tab.RoomFor(addrs(peer3, peer3), 0, 2) {
		t.Error("an address named twice counts once")
	}
	tab.Bind(0x4000, peer1, 0, 600)
	if tab.RoomFor(addrs(peer3), 599, 1) || !tab.RoomFor(addrs(peer1), 599, 1) || !tab.RoomFor(addrs(peer3), 600, 1) {
		t.Error("room for permissions: a bound channel's counts until the channel ends")
	}
	if !tab.RoomForChannel(0x4000, 1, 1) || tab.RoomForChannel(0x4001, 1, 1) || !tab.RoomForChannel(0x4001, 600, 1) {
		t.Error("room for channels")
	}
}

func TestReadersAndWriters(t *testing.T) {
	var tab Table
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 200 {
				if i == 0 {
					tab.Bind(0x4000+uint16(j%8), netip.AddrPortFrom(peer1.Addr(), uint16(1000+j%8)), int64(j), int64(j+600))
				} else {
					tab.Bound(0x4000, int64(j))
					tab.From(peer1, int64(j))
				}
			}
		})
	}
	wg.Wait()
}

func TestLookupAllocatesNothing(t *testing.T) {
	var tab Table
	tab.Bind(0x4000, peer1, 0, 600)
	if n := testing.AllocsPerRun(100, func() {
		tab.Bound(0x4000, 1)
		tab.From(peer1, 1)
		tab.From(peer3, 1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFrom(b *testing.B) {
	var tab Table
	tab.Bind(0x4000, peer1, 0, 600)
	for b.Loop() {
		tab.From(peer1, 1)
	}
}
