package packetio

import (
	"bytes"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for an event that must happen.
const patience = 30 * time.Second

var loopback = netip.MustParseAddr("127.0.0.1")

// implementations returns a constructor for each implementation of Loops.
func implementations() map[string]func() Loops {
	return map[string]func() Loops{"portable": Portable, "best": func() Loops { return New(2) }}
}

// forEach runs a test with each implementation.
func forEach(t *testing.T, f func(t *testing.T, l Loops)) {
	for name, start := range implementations() {
		t.Run(name, func(t *testing.T) {
			l := start()
			t.Cleanup(l.Close)
			f(t, l)
		})
	}
}

// collector is a Receiver that calls do with each datagram, or queues a copy of it if do is nil.
type collector struct {
	got             chan datagram
	do              func(*Packet)
	oversized, lost atomic.Int32
	closed          atomic.Int32
}

type datagram struct {
	from netip.AddrPort
	data string
}

func (c *collector) Receive(p *Packet) {
	if c.do != nil {
		c.do(p)
		return
	}
	c.got <- datagram{p.Addr, string(p.Payload())}
}
func (c *collector) Oversized() { c.oversized.Add(1) }
func (c *collector) Lost(n int) { c.lost.Add(int32(n)) }
func (c *collector) Closed()    { c.closed.Add(1) }

func (c *collector) want(t *testing.T, from netip.AddrPort, data string) {
	t.Helper()
	select {
	case d := <-c.got:
		if d.from != from || d.data != data {
			t.Fatalf("got %q from %v, want %q from %v", d.data, d.from, data, from)
		}
	case <-time.After(patience):
		t.Fatalf("no datagram, want %q from %v", data, from)
	}
}

// open127 serves a new socket on 127.0.0.1.
func open127(t testing.TB, l Loops, worker, longest int, do func(*Packet)) (Socket, *collector) {
	t.Helper()
	r := &collector{got: make(chan datagram, 1024), do: do}
	s, err := l.Listen(netip.AddrPortFrom(loopback, 0), worker, longest, r)
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, r
}

func dial127(t testing.TB, to netip.AddrPort) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c, unmapped(c.LocalAddr().(*net.UDPAddr).AddrPort())
}

func read(t *testing.T, c *net.UDPConn) string {
	t.Helper()
	b := make([]byte, MaxDatagram)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func write(t *testing.T, c *net.UDPConn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// A received packet can be forwarded in place, with a header in front of it and padding behind.
func TestForward(t *testing.T) {
	forEach(t, func(t *testing.T, l Loops) {
		var s Socket
		ready := make(chan struct{})
		s, _ = open127(t, l, 1, 1500, func(p *Packet) {
			<-ready
			copy(p.Prepend(Headroom), bytes.Repeat([]byte{'h'}, Headroom))
			p.Pad()
			s.Send(p)
		})
		close(ready)
		c, _ := dial127(t, s.LocalAddr())
		for _, data := range []string{"hello", "", "padded!!"} {
			write(t, c, []byte(data))
			want := append(bytes.Repeat([]byte{'h'}, Headroom), data...)
			want = append(want, make([]byte, (4-len(want)%4)%4)...)
			if got := read(t, c); got != string(want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}

// A packet that is not sent on behalf of another one is sent at once.
func TestSendAtOnce(t *testing.T) {
	forEach(t, func(t *testing.T, l Loops) {
		a, _ := open127(t, l, 0, 100, nil)
		b, got := open127(t, l, 1, 100, nil)
		p := NewPacket(16)
		p.Set(p.Buf, Headroom, Headroom+copy(p.Buf[Headroom:], "hello"))
		p.Addr = b.LocalAddr()
		a.Send(p)
		got.want(t, a.LocalAddr(), "hello")
	})
}

// A datagram that is too long is dropped whole; the next one is read.
func TestOversizedIsDropped(t *testing.T) {
	forEach(t, func(t *testing.T, l Loops) {
		s, r := open127(t, l, 0, 8, nil)
		c, from := dial127(t, s.LocalAddr())
		for _, data := range []string{"123456789", "12345678"} {
			write(t, c, []byte(data))
		}
		r.want(t, from, "12345678")
		if n := r.oversized.Load(); n != 1 {
			t.Errorf("%d oversized", n)
		}
	})
}

func TestClosed(t *testing.T) {
	forEach(t, func(t *testing.T, l Loops) {
		s, r := open127(t, l, 0, 8, nil)
		if err := s.Close(); err != nil || r.closed.Load() != 1 {
			t.Errorf("Close: %v, Closed was called %d times", err, r.closed.Load())
		}
		_ = s.Close()
		p := NewPacket(1)
		p.Addr = s.LocalAddr()
		p.Set(p.Buf, Headroom, Headroom)
		s.Send(p)
		if r.closed.Load() != 1 || r.lost.Load() != 1 {
			t.Errorf("Closed was called %d times, %d packets lost; want 1, 1", r.closed.Load(), r.lost.Load())
		}
		again, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(s.LocalAddr()))
		if err != nil {
			t.Fatalf("the address is still taken: %v", err)
		}
		again.Close()
	})
}
