package netlab

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"icebox/deploy/e2e/sandbox"
)

func TestMain(m *testing.M) { os.Exit(sandbox.Run(m)) }

// listen opens a UDP socket on a host.
func listen(t *testing.T, l *Lab, host, address string) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	err := l.Do(host, func() error {
		var err error
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// seenFrom sends a packet from c and returns the source address that the receiver sees.
func seenFrom(t *testing.T, c, to *net.UDPConn, dst netip.AddrPort) netip.AddrPort {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort([]byte("hello"), dst); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	to.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, from, err := to.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatalf("nothing arrived at %s: %v", dst, err)
	}
	return netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}

func silent(t *testing.T, c *net.UDPConn, wait time.Duration) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(wait))
	n, from, err := c.ReadFromUDPAddrPort(make([]byte, 64))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes from %s (error %v), want silence", n, from, err)
	}
}

// TestSymmetric checks that each home's NAT maps one socket to a different port for each
// destination, that only this destination can reply through the mapping, and that both hold even
// when the routers can reach each other.
func TestSymmetric(t *testing.T) {
	cases := map[string]struct {
		client, a, b string
	}{
		"IPv4": {"192.168.1.2:5000", "45.33.3.2:3478", "45.33.3.2:5349"},
		"IPv6": {"[fd00:1::2]:5000", "[2600:3c01:0:3::2]:3478", "[2600:3c01:0:3::2]:5349"},
	}
	lab := New(t, Options{Name: "icebox.test", Direct: true})
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client := listen(t, lab, Left, c.client)
			a, b := listen(t, lab, VPS, c.a), listen(t, lab, VPS, c.b)
			dstA, dstB := netip.MustParseAddrPort(c.a), netip.MustParseAddrPort(c.b)
			atA, atB := seenFrom(t, client, a, dstA), seenFrom(t, client, b, dstB)
			if atA.Port() == atB.Port() || atA.Port() == 5000 {
				t.Errorf("the NAT maps 5000 to %d and %d: want two ports and neither 5000", atA.Port(), atB.Port())
			}
			if again := seenFrom(t, client, a, dstA); again != atA {
				t.Errorf("a second packet to one destination came from %s, the first from %s", again, atA)
			}
			if _, err := b.WriteToUDPAddrPort([]byte("uninvited"), atA); err != nil {
				t.Fatal(err)
			}
			silent(t, client, 300*time.Millisecond)
			if _, err := a.WriteToUDPAddrPort([]byte("answer"), atA); err != nil {
				t.Fatal(err)
			}
			client.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := client.Read(make([]byte, 64)); err != nil {
				t.Errorf("the expected reply did not arrive: %v", err)
			}
		})
	}
}

// TestCloud checks the 1:1 NAT. A packet to the public address reaches vps at its private one, the
// reply comes from the public address, and a packet from vps to its own public address is dropped
// and counted.
func TestCloud(t *testing.T) {
	lab := New(t, Options{Name: "icebox.test", Cloud: true})
	client, vps := listen(t, lab, Left, "192.168.1.2:5000"), listen(t, lab, VPS, "10.0.0.5:3478")
	public := netip.AddrPortFrom(PublicV4, 3478)
	from := seenFrom(t, client, vps, public)
	if _, err := vps.WriteToUDPAddrPort([]byte("answer"), from); err != nil {
		t.Fatal(err)
	}
	client.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, answered, err := client.ReadFromUDPAddrPort(make([]byte, 64)); err != nil || netip.AddrPortFrom(answered.Addr().Unmap(), answered.Port()) != public {
		t.Errorf("the reply came from %s (error %v), want %s", answered, err, public)
	}
	if _, err := vps.WriteToUDPAddrPort([]byte("hairpin"), public); err != nil {
		t.Fatal(err)
	}
	silent(t, vps, 300*time.Millisecond)
	if n := lab.Counts()[Hairpin].Packets; n != 1 {
		t.Errorf("%d hairpinned packets counted, want 1", n)
	}
}

// TestAllow checks that a filtering router lets out what Options.Allow lists and nothing else.
func TestAllow(t *testing.T) {
	lab := New(t, Options{Name: "icebox.test", Allow: []string{"udp dport 5349"}})
	client := listen(t, lab, Left, "192.168.1.2:5000")
	allowed, blocked := listen(t, lab, VPS, "45.33.3.2:5349"), listen(t, lab, VPS, "45.33.3.2:3478")
	seenFrom(t, client, allowed, netip.AddrPortFrom(PublicV4, 5349))
	if _, err := client.WriteToUDPAddrPort([]byte("hello"), netip.AddrPortFrom(PublicV4, 3478)); err != nil {
		t.Fatal(err)
	}
	silent(t, blocked, 300*time.Millisecond)
	counts := lab.Counts()
	if counts[DTLS].Packets != 1 || counts[TURNUDP].Packets != 0 {
		t.Errorf("inet counted %v, want one packet for 5349 and none for 3478", counts)
	}
}
