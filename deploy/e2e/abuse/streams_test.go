package abuse

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/flood"
	"icebox/deploy/e2e/abuse/stun"
	"icebox/deploy/e2e/abuse/turn"
)

// Deadlines of the daemon for connections.
const (
	idleTimeout  = 30 * time.Second
	frameTimeout = 10 * time.Second
	// tardy is how much later a deadline may take effect on a busy machine.
	tardy = 15 * time.Second
)

// 10,000 idle TCP connections, 5,000 idle TLS connections, 500 clients that send one byte a second, and 1,000 broken TLS
// handshakes do not affect other clients. The daemon closes all of them when their deadlines pass.
func TestCrowds(t *testing.T) {
	b := start(t, settings{limits: "{connections: 18000}"})
	o := b.observe(t)
	before := o.during(func() {})
	sockets, memory := b.sockets(t), b.memory(t)

	var plain, secure *crowd
	arriving := o.during(func() {
		plain = b.gather(t, turn.TCP, 10000, 0).watch()
		t.Logf("memory of 10,000 idle TCP connections: %.1f KiB each", float64(b.memory(t)-memory)/10000/1024)
		between := b.memory(t)
		secure = b.gather(t, turn.TLS, 5000, 100).watch()
		t.Logf("memory of 5,000 idle TLS connections: %.1f KiB each", float64(b.memory(t)-between)/5000/1024)
	})
	t.Logf("round trips while they connect: %v (before: %v)", arriving, before)
	if open := b.openedSince(t, sockets); open != 15000 {
		t.Errorf("%d connections are open, want 15,000", open)
	}
	o.unharmed("15,000 idle connections", before, func() { o.settle(before) })
	o.unharmed("500 clients that send one byte a second", before, func() { drip(t, b) })
	o.unharmed("1,000 broken handshakes", before, func() { garbage(t, b) })

	for name, c := range map[string]*crowd{"TCP": plain, "TLS": secure} {
		first, last := c.awaitEnd(t, idleTimeout+tardy)
		t.Logf("idle %s connections were closed after %s to %s", name, first.Round(time.Millisecond), last.Round(time.Millisecond))
		if first < idleTimeout-time.Second || last > idleTimeout+tardy {
			t.Errorf("idle %s connections were closed after %s to %s", name, first, last)
		}
	}
	eventually(t, patience, func() error {
		if n := b.openedSince(t, sockets); n > 0 {
			return fmt.Errorf("%d connections are still open", n)
		}
		return nil
	})
	o.unharmed("the time after their end", before, func() { o.settle(before) })
	b.allocate(t, turn.TCP, honest, "after")
	b.allocate(t, turn.TLS, honest, "after")
}

// drip lets 500 clients send an Allocate at one byte a second, until the daemon closes the connections.
func drip(t *testing.T, b *box) {
	t.Helper()
	c := b.gather(t, turn.TCP, 500, 160).watch()
	message := stun.Build(stun.Allocate, stun.NewID(), stun.UDPTransport())
	begin := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for _, octet := range message[:len(message)-1] { // the message takes longer than the deadline
		for _, conn := range c.conns {
			_, _ = conn.Write([]byte{octet}) // fails once the daemon has closed
		}
		if time.Since(begin) > frameTimeout+2*time.Second {
			break
		}
		<-tick.C
	}
	first, last := c.awaitEnd(t, tardy)
	t.Logf("the slow clients were closed after %s to %s", first.Round(time.Millisecond), last.Round(time.Millisecond))
}

// garbage lets 1,000 clients send something other than a valid ClientHello to the TLS port.
func garbage(t *testing.T, b *box) {
	t.Helper()
	shapes := [][]byte{
		bytes.Repeat([]byte{0}, 600),
		[]byte("GET / HTTP/1.0\r\n\r\n"),
		append([]byte{22, 3, 1, 2, 0, 1, 0, 1, 252}, bytes.Repeat([]byte{0xff}, 508)...), // the header of a ClientHello and no valid body
		bareAllocate(),
	}
	addrs := flood.Addresses(crowdAddr, 180)[170:]
	err := parallel(1000, func(i int) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		c, err := turn.Dial(ctx, turn.TCP, addrs[i/perAddress], b.secure)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write(shapes[i%len(shapes)]); err != nil {
			return err
		}
		if !ended(c, time.Now().Add(tardy)) {
			return fmt.Errorf("client %d is still connected", i)
		}
		return nil
	})
	if err != nil {
		t.Errorf("broken handshakes: %v", err)
	}
}

// The daemon buffers few responses for clients without an allocation that never read them.
func TestStrangersThatDoNotRead(t *testing.T) {
	b := start(t, settings{})
	o := b.observe(t)
	before, memory := o.during(func() {}), b.memory(t)
	const conns, each = 60, 8 << 20
	c := b.gather(t, turn.TCP, conns, 0)
	for _, conn := range c.conns {
		if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
	}
	requests := bytes.Repeat(stun.Build(stun.Binding, stun.NewID()), each/20)
	taken := make([]int, conns)
	o.unharmed("clients that do not read", before, func() {
		_ = parallel(conns, func(i int) error {
			_ = c.conns[i].SetWriteDeadline(time.Now().Add(2 * time.Second)) // an error shows in the next line
			taken[i], _ = c.conns[i].Write(requests)                         // the daemon need not take all of it
			return nil
		})
	})
	grown := b.memory(t) - memory
	slices.Sort(taken)
	t.Logf("%d connections; the daemon took %d to %d bytes from each; memory grew by %.1f MiB, %.0f KiB each",
		conns, taken[0], taken[conns-1], mib(grown), float64(grown)/conns/1024)
	if grown > 16<<20 {
		t.Errorf("memory grew by %.1f MiB", mib(grown))
	}
}
