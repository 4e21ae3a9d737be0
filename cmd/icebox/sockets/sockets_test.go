package sockets

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.MustParseAddr("::1")
	other4    = netip.MustParseAddr("127.0.0.2")
)

func openOne(t *testing.T, s Spec, local ...netip.Addr) Group {
	t.Helper()
	groups, err := Open([]Spec{s}, local)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(groups) })
	return groups[0]
}

func TestOneSocketForEachAddress(t *testing.T) {
	local := []netip.Addr{loopback4, other4, loopback6}
	for name, test := range map[string]struct {
		addr netip.Addr
		want []netip.Addr
	}{
		"every":      {netip.Addr{}, local},
		"every IPv4": {netip.IPv4Unspecified(), local[:2]},
		"every IPv6": {netip.IPv6Unspecified(), local[2:]},
		"one":        {other4, local[1:2]},
	} {
		t.Run(name, func(t *testing.T) {
			g := openOne(t, Spec{Key: "turn.listen[0]", Addr: test.addr, UDP: true, TCP: true}, local...)
			if !slices.Equal(g.Addrs(), test.want) {
				t.Errorf("got %v, want %v", g.Addrs(), test.want)
			}
			for _, c := range g.UDP {
				if port := c.LocalAddr().(*net.UDPAddr).Port; port != int(g.Port) {
					t.Errorf("%v is not on port %d", c.LocalAddr(), g.Port)
				}
			}
			if port := g.TCP.Addr().(*net.TCPAddr).Port; port != int(g.Port) || g.Port == 0 {
				t.Errorf("TCP on port %d, UDP on %d", port, g.Port)
			}
		})
	}
}

// A reply must leave from the address the request came to.
func TestReplyAddress(t *testing.T) {
	g := openOne(t, Spec{Key: "turn.listen[0]", UDP: true}, loopback4, other4)
	for _, server := range g.UDP {
		client, err := net.DialUDP("udp", nil, server.LocalAddr().(*net.UDPAddr))
		if err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(5 * time.Second)
		_, _ = client.SetDeadline(deadline), server.SetDeadline(deadline)
		if _, err := client.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 16)
		_, from, err := server.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := server.WriteToUDPAddrPort([]byte("pong"), from); err != nil {
			t.Fatal(err)
		}
		if n, err := client.Read(buf); err != nil || string(buf[:n]) != "pong" {
			t.Errorf("%v: got %q, %v", server.LocalAddr(), buf[:n], err)
		}
		_ = client.Close()
	}
}

func TestPortInUse(t *testing.T) {
	taken := openOne(t, Spec{Key: "other", Addr: loopback4, UDP: true, TCP: true})
	free := openOne(t, Spec{Key: "other", Addr: loopback4, TCP: true})
	_ = free.TCP.Close()
	_, err := Open([]Spec{
		{Key: "turn.listen[0]", Port: taken.Port, UDP: true, TCP: true},
		{Key: "http.listen[0]", Addr: loopback4, Port: taken.Port, TCP: true},
		{Key: "admin.address", Addr: loopback4, Port: free.Port, TCP: true},
	}, []netip.Addr{loopback4})
	want := strings.Join([]string{
		fmt.Sprintf("turn.listen[0]: tcp :%d is in use by another process", taken.Port),
		fmt.Sprintf("turn.listen[0]: udp 127.0.0.1:%d is in use by another process", taken.Port),
		fmt.Sprintf("http.listen[0]: tcp 127.0.0.1:%d is in use by another process", taken.Port),
	}, "\n")
	if err == nil || err.Error() != want || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	again := openOne(t, Spec{Key: "admin.address", Addr: loopback4, Port: free.Port, TCP: true})
	if again.Port != free.Port {
		t.Error("a failed start left a socket open")
	}
}

func TestAddressThatIsNotOurs(t *testing.T) {
	foreign := netip.MustParseAddr("192.0.2.77")
	_, err := Open([]Spec{{Key: "turn.listen[0]", Addr: foreign, Port: 3478, UDP: true}}, nil)
	if want := "turn.listen[0]: udp 192.0.2.77:3478: this host has no such address"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	g := openOne(t, Spec{Key: "turn.listen[0]", UDP: true}, loopback4, foreign)
	if !slices.Equal(g.Skipped, []netip.Addr{foreign}) || !slices.Equal(g.Addrs(), []netip.Addr{loopback4}) {
		t.Errorf("got %v without %v, want %v alone", g.Addrs(), g.Skipped, loopback4)
	}
	_, err = Open([]Spec{{Key: "turn.listen[0]", Port: 3478, UDP: true}}, nil)
	if want := "turn.listen[0]: this host has no address for udp :3478"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
