package sockets

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"icebox/cmd/iceload/batch"
)

// receivePackets waits for n packets to peers and returns them.
func receivePackets(t *testing.T, p *Peers, n int) []string {
	t.Helper()
	var all []string
	for deadline := time.Now().Add(patience); len(all) < n; {
		if time.Now().After(deadline) {
			t.Fatalf("only %d of %d packets arrived: %v", len(all), n, all)
		}
		if _, err := p.poller.Wait(time.Second); err != nil {
			t.Fatal(err)
		}
		if err := p.Receive(func(peer int, from netip.AddrPort, packet []byte, _ int64) {
			all = append(all, fmt.Sprintf("%d: %s from %v", peer, packet, from))
		}); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(all)
	return all
}

func TestPeers(t *testing.T) {
	cases := map[string]struct {
		address string
		peers   int
	}{
		"one":                    {"127.0.0.2", 1},
		"several on one socket":  {"127.0.0.2", 3},
		"several on own sockets": {"::1", 3},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			address := netip.MustParseAddr(c.address)
			p, err := OpenPeers(PeersOptions{FirstAddr: address, Count: c.peers, Clients: 5, PacketSize: 100})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			})
			server := "127.0.0.1:0"
			if address.Is6() {
				server = "[::1]:0"
			}
			relay, err := batch.Open(batch.Options{Local: netip.MustParseAddrPort(server)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = relay.Close() })

			w := batch.NewWriter(8, 100)
			var want []string
			for client := range 5 {
				peer := p.PeerOf(client)
				text := fmt.Sprintf("up %d", client)
				copy(w.AddDatagram(batch.NewDest(p.Addr(peer), netip.Addr{}, 0), len(text)), text)
				want = append(want, fmt.Sprintf("%d: %s from %v", peer, text, relay.Local()))
			}
			w.Flush(relay)
			slices.Sort(want)
			if got := receivePackets(t, p, 5); !slices.Equal(got, want) {
				t.Errorf("the peers got %v, want %v", got, want)
			}
			checkFromPeers(t, p, relay)
		})
	}
}

// checkFromPeers sends a packet to each of five clients that share one relayed address.
func checkFromPeers(t *testing.T, p *Peers, relay *batch.Socket) {
	t.Helper()
	var want, got []string
	for client := range 5 {
		p.SetRelayedAddr(client, relay.Local())
		copy(p.QueuePacket(client, 6), fmt.Sprintf("down %d", client))
		want = append(want, fmt.Sprintf("down %d from %v", client, p.Addr(p.PeerOf(client))))
	}
	p.Flush()
	r := batch.NewReader(8, 100, false)
	for deadline := time.Now().Add(patience); len(got) < 5 && time.Now().Before(deadline); {
		if err := r.Read(relay, func(d *batch.Datagram) { got = append(got, fmt.Sprintf("%s from %v", d.Data, d.From)) }); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the relay got %v, want %v", got, want)
	}
}

func TestOpenPeersRefusesAddressesThatDoNotExist(t *testing.T) {
	for name, o := range map[string]PeersOptions{
		"too many":  {FirstAddr: netip.MustParseAddr("127.255.255.250"), Count: 10},
		"not local": {FirstAddr: netip.MustParseAddr("192.0.2.1"), Count: 1},
	} {
		o.Clients, o.PacketSize = 10, 100
		if _, err := OpenPeers(o); err == nil {
			t.Errorf("%s: OpenPeers returned no error", name)
		}
	}
}
