package packetio

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"
)

func listen(t testing.TB) (Conn, *net.UDPConn) { return listenCounting(t, func() {}) }

func listenCounting(t testing.TB, oversized func()) (Conn, *net.UDPConn) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	u := NewUDP(c, oversized)
	t.Cleanup(func() { u.Close() })
	return u, c
}

func TestHeadroomAndPadding(t *testing.T) {
	a, _ := listen(t)
	b, _ := listen(t)
	p := NewPacket(16)
	p.Set(p.Buf, Headroom, Headroom+copy(p.Buf[Headroom:], "hello"))
	p.Addr = b.LocalAddr()
	if n := a.WriteBatch(p.Alone()); n != 1 {
		t.Fatalf("WriteBatch = %d", n)
	}
	q := NewPacket(5)
	if n, err := b.ReadBatch(q.Alone()); n != 1 || err != nil || string(q.Payload()) != "hello" || q.Addr != a.LocalAddr() {
		t.Fatalf("ReadBatch = %d, %v, %q from %v", n, err, q.Payload(), q.Addr)
	}
	copy(q.Prepend(Headroom), bytes.Repeat([]byte{'h'}, Headroom))
	q.Pad()
	if got := len(q.Payload()); got != 56 || q.Off != 0 {
		t.Errorf("payload of %d bytes at %d after Prepend and Pad", got, q.Off)
	}
}

// A datagram that does not fit is lost whole; the next one is read.
func TestOversizedIsDropped(t *testing.T) {
	oversized := 0
	a, _ := listenCounting(t, func() { oversized++ })
	_, raw := listen(t)
	for _, s := range []string{"123456789", "ok"} {
		if _, err := raw.WriteToUDPAddrPort([]byte(s), a.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	p := NewPacket(8)
	if n, err := a.ReadBatch(p.Alone()); n != 1 || err != nil || string(p.Payload()) != "ok" || oversized != 1 {
		t.Errorf("ReadBatch = %d, %v, %q, %d oversized", n, err, p.Payload(), oversized)
	}
}

func TestCloseEndsTheReader(t *testing.T) {
	a, _ := listen(t)
	errs := make(chan error)
	go func() {
		_, err := a.ReadBatch(NewPacket(8).Alone())
		errs <- err
	}()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-errs; !errors.Is(err, net.ErrClosed) {
		t.Errorf("ReadBatch after Close: %v", err)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	a, _ := listen(t)
	p := NewPacket(1500)
	n := testing.AllocsPerRun(100, func() {
		p.Off, p.End, p.Addr = Headroom, Headroom+1200, a.LocalAddr()
		a.WriteBatch(p.Alone())
		if _, err := a.ReadBatch(p.Alone()); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}
