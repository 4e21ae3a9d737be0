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

// The daemon's deadlines for connections.
const (
	idleTimeout  = 30 * time.Second
	frameTimeout = 10 * time.Second
	// tardy is how much later than that a busy machine may be.
	tardy = 15 * time.Second
)

// Ten thousand idle TCP connections, five thousand idle TLS connections, five hundred clients that send a byte a second
// and a thousand broken TLS handshakes: nobody else notices, and all of them are gone after their time.
func TestCrowds(t *testing.T) {
	b := start(t, settings{limits: "{connections: 18000}"})
	o := b.observe(t)
	before := o.during(func() {})
	files, memory := b.files(t), b.memory(t)

	var plain, secure *crowd
	arriving := o.during(func() {
		plain = b.gather(t, turn.TCP, 10000, 0).watch()
		t.Logf("10,000 idle over TCP: %.1f KiB each", float64(b.memory(t)-memory)/10000/1024)
		between := b.memory(t)
		secure = b.gather(t, turn.TLS, 5000, 100).watch()
		t.Logf("5,000 idle over TLS: %.1f KiB each", float64(b.memory(t)-between)/5000/1024)
	})
	t.Logf("round trips while they arrive: %v (before: %v)", arriving, before)
	if open := b.files(t) - files; open < 15000 {
		t.Errorf("%d connections are open, want 15,000", open)
	}
	o.unharmed("15,000 idle connections", before, func() { o.settle(before) })
	o.unharmed("500 one-byte drips", before, func() { drip(t, b) })
	o.unharmed("1,000 garbage handshakes", before, func() { garbage(t, b) })

	for name, c := range map[string]*crowd{"TCP": plain, "TLS": secure} {
		first, last := c.awaitEnd(t, idleTimeout+tardy)
		t.Logf("idle over %s: closed after %s to %s", name, first.Round(time.Millisecond), last.Round(time.Millisecond))
		if first < idleTimeout-time.Second || last > idleTimeout+tardy {
			t.Errorf("idle over %s: closed after %s to %s", name, first, last)
		}
	}
	eventually(t, patience, func() error {
		if n := b.files(t); n > files+2 {
			return fmt.Errorf("%d files are open, %d were before", n, files)
		}
		return nil
	})
	o.unharmed("their end", before, func() { o.settle(before) })
	b.allocate(t, turn.TCP, honest, "after")
	b.allocate(t, turn.TLS, honest, "after")
}

// drip has 500 clients send an Allocate one byte a second, until the daemon has had enough of each.
func drip(t *testing.T, b *box) {
	t.Helper()
	c := b.gather(t, turn.TCP, 500, 160).watch()
	message := stun.Build(stun.Allocate, stun.NewID(), stun.UDPTransport())
	begin := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for _, octet := range message[:len(message)-1] { // longer than it takes to be cut off
		for _, conn := range c.conns {
			_, _ = conn.Write([]byte{octet}) // fails once the daemon has closed
		}
		if time.Since(begin) > frameTimeout+2*time.Second {
			break
		}
		<-tick.C
	}
	first, last := c.awaitEnd(t, tardy)
	t.Logf("drips: closed after %s to %s", first.Round(time.Millisecond), last.Round(time.Millisecond))
}

// garbage has 1,000 clients send what is no ClientHello to the TLS port.
func garbage(t *testing.T, b *box) {
	t.Helper()
	shapes := [][]byte{
		bytes.Repeat([]byte{0}, 600),
		[]byte("GET / HTTP/1.0\r\n\r\n"),
		append([]byte{22, 3, 1, 2, 0, 1, 0, 1, 252}, bytes.Repeat([]byte{0xff}, 508)...), // a ClientHello of nonsense
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
			return fmt.Errorf("garbage %d is still connected", i)
		}
		return nil
	})
	if err != nil {
		t.Errorf("garbage handshakes: %v", err)
	}
}

// Strangers that ask and never read the answers make the daemon keep few of them.
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
	questions := bytes.Repeat(stun.Build(stun.Binding, stun.NewID()), each/20)
	taken := make([]int, conns)
	o.unharmed("clients that do not read", before, func() {
		_ = parallel(conns, func(i int) error {
			_ = c.conns[i].SetWriteDeadline(time.Now().Add(2 * time.Second)) // it shows in the next line
			taken[i], _ = c.conns[i].Write(questions)                        // the daemon need not take it
			return nil
		})
	})
	grown := b.memory(t) - memory
	slices.Sort(taken)
	t.Logf("%d connections, from which %d to %d bytes were taken: memory grew by %.1f MiB, %.0f KiB each",
		conns, taken[0], taken[conns-1], mib(grown), float64(grown)/conns/1024)
	if grown > 16<<20 {
		t.Errorf("memory grew by %.1f MiB", mib(grown))
	}
}
