package batch

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

const patience = 10 * time.Second

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

func open(t *testing.T, o Options) *Socket {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// got is a received datagram.
type got struct {
	Data     string
	From, To string
}

// receive waits until n datagrams have arrived and returns them.
func receive(t *testing.T, s *Socket, r *Reader, n int) []got {
	t.Helper()
	p := NewPoller()
	if err := p.AddSocket(s.FD(), 0); err != nil {
		t.Fatal(err)
	}
	var all []got
	deadline := time.Now().Add(patience)
	for len(all) < n {
		if time.Now().After(deadline) {
			t.Fatalf("only %d of %d datagrams arrived", len(all), n)
		}
		if _, err := p.Wait(time.Second); err != nil {
			t.Fatal(err)
		}
		if err := r.Read(s, func(d *Datagram) {
			if age := time.Since(time.Unix(0, d.At)); age < -time.Second || age > patience || d.Truncated {
				t.Errorf("a datagram arrived %v ago, truncated: %v", age, d.Truncated)
			}
			all = append(all, got{string(d.Data), d.From.String(), d.To.String()})
		}); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestSharedSocketRepresentsManyAddresses(t *testing.T) {
	server := open(t, Options{Local: anyPort})
	clients := open(t, Options{Local: netip.MustParseAddrPort("127.64.0.1:0"), Shared: true})
	port := clients.Local().Port()
	w := NewWriter(8, 100)
	var want []got
	for i := range 5 {
		from := netip.AddrFrom4([4]byte{127, 64, 1, byte(i + 1)})
		copy(w.AddDatagram(NewDest(server.Local(), from, 0), 3), fmt.Sprintf("c%02d", i))
		want = append(want, got{fmt.Sprintf("c%02d", i), netip.AddrPortFrom(from, port).String(), "invalid IP"})
	}
	w.Flush(clients)
	if all := receive(t, server, NewReader(2, 100, false), 5); !slices.Equal(all, want) {
		t.Errorf("the server got %v, want %v", all, want)
	}
	reply := NewWriter(8, 100)
	copy(reply.AddDatagram(NewDest(netip.MustParseAddrPort(want[3].From), netip.Addr{}, 0), 2), "hi")
	reply.Flush(server)
	want = []got{{"hi", server.Local().String(), "127.64.1.4"}}
	if all := receive(t, clients, NewReader(8, 100, false), 1); !slices.Equal(all, want) {
		t.Errorf("the clients got %v, want %v", all, want)
	}
}

func TestConnectedSocketOverIPv6(t *testing.T) {
	server := open(t, Options{Local: netip.MustParseAddrPort("[::1]:0"), Buffer: 1 << 20})
	client := open(t, Options{Local: netip.MustParseAddrPort("[::1]:0"), Remote: server.Local()})
	w := NewWriter(2, 10)
	copy(w.AddDatagram(NewDest(netip.AddrPort{}, netip.Addr{}, 0), 2), "v6")
	w.Flush(client)
	want := []got{{"v6", client.Local().String(), "invalid IP"}}
	if all := receive(t, server, NewReader(2, 10, false), 1); !slices.Equal(all, want) {
		t.Errorf("got %v, want %v", all, want)
	}
}

// Equally long datagrams to one destination leave as one message, and arrive as separate datagrams
// whether or not the receiver coalesces.
func TestCoalescing(t *testing.T) {
	for _, coalesce := range []bool{false, true} {
		t.Run(fmt.Sprint("coalesced ", coalesce), func(t *testing.T) {
			server := open(t, Options{Local: anyPort, Coalesce: coalesce})
			client := open(t, Options{Local: netip.MustParseAddrPort("127.64.0.1:0"), Shared: true})
			source := netip.MustParseAddr("127.64.0.9")
			run := NewDest(server.Local(), source, 500)
			w := NewWriter(4, 5000)
			for i := range 7 {
				copy(w.AddDatagram(run, 500), bytes.Repeat([]byte{byte('a' + i)}, 500))
			}
			copy(w.AddDatagram(NewDest(server.Local(), source, 500), 500), "alone")
			copy(w.AddDatagram(run, 20), "of a different size!")
			if w.pending != 3 {
				t.Fatalf("the Writer has %d messages, want 3", w.pending)
			}
			w.Flush(client)
			if w.Lost != 0 || w.Err != nil || w.HasPending() {
				t.Fatalf("%d lost: %v", w.Lost, w.Err)
			}
			all := receive(t, server, NewReader(4, 1500, coalesce), 9)
			for i := range 7 {
				if all[i].Data != string(bytes.Repeat([]byte{byte('a' + i)}, 500)) {
					t.Errorf("datagram %d is %.3q..., %d bytes", i, all[i].Data, len(all[i].Data))
				}
			}
			if len(all) != 9 || len(all[7].Data) != 500 || all[8].Data != "of a different size!" {
				t.Errorf("%d datagrams, the last %q", len(all), all[len(all)-1].Data)
			}
		})
	}
}

func TestWriterLimits(t *testing.T) {
	d := NewDest(anyPort, netip.Addr{}, 0)
	w := NewWriter(2, 100)
	if w.AddDatagram(d, 201) != nil || w.AddDatagram(d, 150) == nil || w.AddDatagram(d, 51) != nil || w.AddDatagram(d, 50) == nil || w.AddDatagram(d, 0) != nil {
		t.Error("the Writer's limits are not those that it was created with")
	}
}

func TestDatagramsThatTheKernelRefusesAreCounted(t *testing.T) {
	s := open(t, Options{Local: anyPort})
	w := NewWriter(3, 70000)
	good := NewDest(s.Local(), netip.Addr{}, 0)
	copy(w.AddDatagram(good, 1), "1")
	w.AddDatagram(good, 66000) // longer than a UDP datagram can be
	copy(w.AddDatagram(good, 1), "2")
	w.Flush(s)
	if w.Lost != 1 || w.Err == nil {
		t.Errorf("%d lost: %v", w.Lost, w.Err)
	}
	if all := receive(t, s, NewReader(4, 10, false), 2); all[0].Data != "1" || all[1].Data != "2" {
		t.Errorf("got %v", all)
	}
}

func TestPollerWithPollAndEpoll(t *testing.T) {
	for _, n := range []int{2, maxPollSockets + 3} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			p := NewPoller()
			t.Cleanup(func() {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			})
			sockets := make([]*Socket, n)
			for i := range sockets {
				sockets[i] = open(t, Options{Local: anyPort})
				if err := p.AddSocket(sockets[i].FD(), 100+i); err != nil {
					t.Fatal(err)
				}
			}
			if ready, err := p.Wait(0); err != nil || len(ready) != 0 {
				t.Fatalf("before anything was sent, Wait returned %v, %v", ready, err)
			}
			if err := p.RemoveSocket(sockets[0].FD()); err != nil {
				t.Fatal(err)
			}
			w := NewWriter(2, 10)
			for _, to := range []int{0, n - 1} {
				copy(w.AddDatagram(NewDest(sockets[to].Local(), netip.Addr{}, 0), 1), "x")
			}
			w.Flush(sockets[1])
			ready, err := p.Wait(patience)
			if err != nil || !slices.Equal(ready, []int{100 + n - 1}) {
				t.Errorf("Wait returned %v, %v, want only %d", ready, err, 100+n-1)
			}
		})
	}
}

func TestNothingIsAllocatedPerDatagram(t *testing.T) {
	a, b := open(t, Options{Local: anyPort}), open(t, Options{Local: anyPort})
	w, r := NewWriter(8, 100), NewReader(8, 100, false)
	d := NewDest(b.Local(), netip.Addr{}, 0)
	n := 0
	count := func(*Datagram) { n++ }
	allocs := testing.AllocsPerRun(100, func() {
		for range 4 {
			w.AddDatagram(d, 100)
		}
		w.Flush(a)
		if err := r.Read(b, count); err != nil {
			t.Error(err)
		}
	})
	if allocs != 0 || n == 0 {
		t.Errorf("%v allocations, %d datagrams", allocs, n)
	}
}
