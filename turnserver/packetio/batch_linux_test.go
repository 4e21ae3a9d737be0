package packetio

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// coalesce makes the kernel cut each write to c into datagrams of size bytes. The receiving kernel coalesces them.
func coalesce(t *testing.T, c *net.UDPConn, size int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, size) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatalf("UDP_SEGMENT: %v", err)
	}
}

// text returns n different bytes that begin with a number.
func text(number, n int) string { return fmt.Sprintf("%-*d", n, number) }

// Datagrams that the kernel coalesced are split again. Each gets a header and padding of its own, although they are adjacent in
// the buffer.
func TestCoalesced(t *testing.T) {
	l := New(1)
	t.Cleanup(l.Close)
	var s Socket
	ready := make(chan struct{})
	s, r := open127(t, l, 0, 1500, func(p *Packet) {
		<-ready
		copy(p.Prepend(4), "head")
		p.Pad()
		s.Send(p)
	})
	close(ready)
	c, _ := dial127(t, s.LocalAddr())
	coalesce(t, c, 101)
	var sent []string
	for i := range 20 {
		sent = append(sent, text(i, 101))
	}
	sent = append(sent, "last")
	write(t, c, []byte(strings.Join(sent, "")))
	for i, data := range sent {
		want := "head" + data
		want += strings.Repeat("\x00", (4-len(want)%4)%4)
		if got := read(t, c); got != want {
			t.Errorf("datagram %d: %q, want %q", i, got, want)
		}
	}
	if n := r.lost.Load(); n != 0 {
		t.Errorf("%d lost", n)
	}
}

func TestCoalescedAndOversized(t *testing.T) {
	l := New(1)
	t.Cleanup(l.Close)
	s, r := open127(t, l, 0, 100, nil)
	c, from := dial127(t, s.LocalAddr())
	coalesce(t, c, 101)
	write(t, c, make([]byte, 250))
	write(t, c, []byte("fits"))
	r.want(t, from, "fits")
	if n := r.oversized.Load(); n != 3 {
		t.Errorf("%d oversized, want 3", n)
	}
}

// unreadSocket returns a socket that no loop reads.
func unreadSocket(t *testing.T) (*socket, *collector) {
	t.Helper()
	l := New(1)
	t.Cleanup(l.Close)
	r := &collector{got: make(chan datagram, 16)}
	s, err := l.Listen(netip.AddrPortFrom(loopback, 0), 0, 1500, r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.(*socket), r
}

func newBatch() *Batch {
	b := new(Batch)
	b.init()
	return b
}

func (b *Batch) addText(s *socket, to netip.AddrPort, data string) {
	p := NewPacket(len(data))
	p.Set(p.Buf, Headroom, Headroom+copy(p.Buf[Headroom:], data))
	p.Addr = to
	b.add(s, p)
}

func TestRuns(t *testing.T) {
	s, _ := unreadSocket(t)
	other, _ := unreadSocket(t)
	x, y := netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("127.0.0.1:2")
	type packet struct {
		s    *socket
		to   netip.AddrPort
		size int
	}
	many := make([]packet, maxSegments+1)
	for i := range many {
		many[i] = packet{s, x, 10}
	}
	for name, c := range map[string]struct {
		packets []packet
		want    []int // packets of each run
	}{
		"one size":                  {[]packet{{s, x, 10}, {s, x, 10}, {s, x, 10}}, []int{3}},
		"a shorter one ends a run":  {[]packet{{s, x, 10}, {s, x, 9}, {s, x, 10}, {s, x, 10}}, []int{2, 2}},
		"a longer one starts a run": {[]packet{{s, x, 10}, {s, x, 11}, {s, x, 10}}, []int{1, 2}},
		"mixed addresses":           {[]packet{{s, x, 10}, {s, y, 5}, {s, x, 10}, {s, y, 5}}, []int{2, 2}},
		"mixed sockets":             {[]packet{{s, x, 10}, {other, x, 10}, {s, x, 10}}, []int{2, 1}},
		"empty packets":             {[]packet{{s, x, 0}, {s, x, 0}, {s, x, 10}, {s, x, 0}}, []int{1, 1, 1, 1}},
		"too many packets":          {many, []int{maxSegments, 1}},
		"too many bytes":            {[]packet{{s, x, 40000}, {s, x, 40000}}, []int{1, 1}},
	} {
		b := newBatch()
		for _, p := range c.packets {
			b.addText(p.s, p.to, strings.Repeat("x", p.size))
		}
		var got []int
		for _, r := range b.runs {
			got = append(got, r.count)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: runs of %v, want %v", name, got, c.want)
		}
	}
}

// If the kernel refuses one destination, packets to others are still sent.
func TestPartialSend(t *testing.T) {
	s, r := unreadSocket(t)
	l := New(1)
	t.Cleanup(l.Close)
	peer, got := open127(t, l, 0, 1500, nil)
	b := newBatch()
	for i := range 3 {
		b.addText(s, peer.LocalAddr(), text(i, 10+i))
		b.addText(s, netip.AddrPortFrom(loopback, 0), "to port 0")
	}
	b.Flush()
	for i := range 3 {
		got.want(t, s.LocalAddr(), text(i, 10+i))
	}
	if n := r.lost.Load(); n != 3 {
		t.Errorf("%d lost, want 3", n)
	}
}

// If the kernel refuses a run, the socket sends its packets one by one and no longer sends such runs.
func TestRefusedRun(t *testing.T) {
	for errno, want := range map[unix.Errno]map[int]bool{
		unix.EINVAL: {9: true, 10: false, 1200: false},
		unix.EIO:    {1: false, 10: false, 1200: false},
	} {
		s, r := unreadSocket(t)
		l := New(1)
		t.Cleanup(l.Close)
		peer, got := open127(t, l, 0, 1500, nil)
		b := newBatch()
		for i := range 3 {
			b.addText(s, peer.LocalAddr(), text(i, 10))
		}
		b.sendSingly(s, &b.runs[0], errno)
		for i := range 3 {
			got.want(t, s.LocalAddr(), text(i, 10))
		}
		for size, allowed := range want {
			if s.allowsRuns(size) != allowed {
				t.Errorf("after %v: runs of %d bytes are allowed: %v", errno, size, !allowed)
			}
		}
		if n := r.lost.Load(); n != 0 {
			t.Errorf("%d lost", n)
		}
	}
}

// A socket that is closed while packets wait to be sent through it keeps its descriptor until they are sent.
func TestCloseWhileInUse(t *testing.T) {
	s, r := unreadSocket(t)
	if !s.acquire() {
		t.Fatal("closed")
	}
	if err := s.Close(); err != nil || r.closed.Load() != 0 {
		t.Fatalf("Close: %v, Closed was called %d times", err, r.closed.Load())
	}
	s.release()
	if r.closed.Load() != 1 || s.acquire() {
		t.Errorf("Closed was called %d times", r.closed.Load())
	}
	b := newBatch()
	b.addText(s, s.LocalAddr(), "too late")
	b.Flush()
	if n := r.lost.Load(); n != 1 {
		t.Errorf("%d lost", n)
	}
}

func TestShare(t *testing.T) {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	shared := Share(c, 3)
	if len(shared) != 3 || shared[0] != c {
		t.Fatalf("%d sockets", len(shared))
	}
	l := New(3)
	t.Cleanup(l.Close)
	got := &collector{got: make(chan datagram, 64)}
	for i, c := range shared {
		s, err := l.Serve(c, i, 1500, got)
		if err == nil {
			err = s.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
	}
	for i := range 20 {
		client, from := dial127(t, unmapped(netip.MustParseAddrPort(c.LocalAddr().String())))
		write(t, client, []byte(text(i, 8)))
		got.want(t, from, text(i, 8))
	}
}

func TestLoopAllocatesNothing(t *testing.T) {
	l := New(1)
	t.Cleanup(l.Close)
	var s Socket
	ready := make(chan struct{})
	s, _ = open127(t, l, 0, 1500, func(p *Packet) {
		<-ready
		p.Prepend(4)
		s.Send(p)
	})
	close(ready)
	for name, size := range map[string]int{"single": 1500, "coalesced": 100} {
		c, _ := dial127(t, s.LocalAddr())
		coalesce(t, c, size)
		b, in := make([]byte, 1000), make([]byte, 2000)
		round := func() {
			write(t, c, b)
			for range (len(b) + size - 1) / size {
				if _, err := c.Read(in); err != nil {
					t.Fatal(err)
				}
			}
		}
		round()
		if n := testing.AllocsPerRun(100, round); n != 0 {
			t.Errorf("%s: %v allocations a round", name, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { s.(*socket).sendOne([]byte("x"), s.LocalAddr()) }); n != 0 {
		t.Errorf("%v allocations for a packet outside of a round", n)
	}
}
