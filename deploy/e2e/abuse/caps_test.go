package abuse

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/flood"
	"icebox/deploy/e2e/abuse/stun"
	"icebox/deploy/e2e/abuse/turn"
)

const (
	capTotal = 300 // connections of all addresses
	capEach  = 100 // connections of one address
)

// The daemon enforces the limit of connections for one address. When the limit for all addresses is reached, it still
// serves newcomers and closes connections without an allocation in exchange.
func TestConnectionCaps(t *testing.T) {
	for name, tr := range map[string]turn.Transport{"TCP": turn.TCP, "TLS": turn.TLS} {
		t.Run(name, func(t *testing.T) {
			b := start(t, settings{limits: fmt.Sprintf("{connections: %d, connections_per_address: %d}", capTotal, capEach)})
			o := b.observe(t)
			before, sockets := o.during(func() {}), b.sockets(t)
			addrs := flood.Addresses(crowdAddr, 4)
			o.unharmed("clients at the limit", before, func() {
				for i, attempts := range []int{capEach + 50, capEach, capEach + 50} {
					if n := len(b.press(t, tr, addrs[i], attempts)); n != capEach {
						t.Errorf("%v has %d connections after %d attempts, want %d", addrs[i], n, attempts, capEach)
					}
				}
				if n := len(b.press(t, tr, addrs[3], 50)); n < 40 { // some of them replace each other
					t.Errorf("%d of 50 newcomers are served, want at least 40", n)
				}
			})
			eventually(t, patience, func() error {
				if n := b.openedSince(t, sockets); n != capTotal {
					return fmt.Errorf("%d connections are open, want %d", n, capTotal)
				}
				return nil
			})
			b.allocate(t, tr, honest, "newcomer")
		})
	}
}

// Connections with allocations are never closed for newcomers. When one ends, there is room for another.
func TestConnectionCapsWithAllocations(t *testing.T) {
	b := start(t, settings{limits: fmt.Sprintf("{connections: %d, connections_per_address: %d}", capTotal, capEach)})
	addrs := flood.Addresses(crowdAddr, 4)
	clients := make([]*turn.Client, capTotal)
	err := parallel(capTotal, func(i int) error {
		c, err := b.tryDial(turn.TCP, addrs[i/capEach], fmt.Sprint("user", i))
		if err != nil {
			return err
		}
		clients[i] = c
		_, err = c.Allocate()
		return err
	})
	defer func() {
		for _, c := range clients {
			if c != nil {
				c.Close()
			}
		}
	}()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(b.press(t, turn.TCP, addrs[3], 50)); n != 0 {
		t.Errorf("%d connections were accepted beyond the limit", n)
	}
	for _, c := range clients {
		if _, err := c.Request(stun.Refresh); err != nil {
			t.Fatal(err)
		}
	}
	clients[0].Close()
	eventually(t, patience, func() error {
		c, err := b.tryDial(turn.TCP, addrs[3], "late")
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Allocate()
		return err
	})
}

// press attempts n connections and returns those that the daemon serves. They stay open until the test ends.
func (b *box) press(t *testing.T, tr turn.Transport, from netip.Addr, n int) (alive []net.Conn) {
	t.Helper()
	conns := make([]net.Conn, n)
	_ = parallel(n, func(i int) error {
		if c, err := turn.Dial(t.Context(), tr, from, b.at(tr, from)); err == nil && served(c) {
			conns[i] = c
		}
		return nil // a refused connection is not an error
	})
	for _, c := range conns {
		if c != nil {
			alive = append(alive, c)
		}
	}
	t.Cleanup(func() { closeAll(alive) })
	return alive
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		c.Close()
	}
}

// served reports whether the daemon answers a Binding request on c. It closes c otherwise.
func served(c net.Conn) bool {
	err := c.SetDeadline(time.Now().Add(patience))
	if err == nil {
		_, err = c.Write(stun.Build(stun.Binding, stun.NewID()))
	}
	if err == nil {
		_, err = c.Read(make([]byte, 64))
	}
	if err != nil {
		c.Close()
	}
	return err == nil
}

// During a flood of ClientHellos from many addresses, an honest DTLS client connects with the help of its
// retransmissions, and other clients are not affected.
func TestHalfOpenDTLS(t *testing.T) {
	for _, rate := range []int{500, 5000, 20000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			b := start(t, settings{})
			o := b.observe(t)
			before, memory := o.during(func() {}), b.memory(t)
			sources := openFlood(t, b.secure, botnet())
			sources.PerCall = 1
			cpu := b.cpu(t)
			done := unleash(t, sources, clientHello(), helloCounter, rate, 6*time.Second)
			var peak int
			var n newcomers
			var r flood.Result
			o.unharmed("ClientHellos", before, func() { r, peak = b.endureDTLS(t, done, &n) })
			cpu = b.cpu(t) - cpu
			t.Logf("%.0f ClientHellos a second, %.0f of them answered; %.0f%% of a processor; memory %.1f MiB before, %.1f MiB at most",
				r.Rate(), float64(r.Replies)/r.Took.Seconds(), 100*cpu.Seconds()/r.Took.Seconds(), mib(memory), mib(peak))
			n.log(t)
		})
	}
}

// endureDTLS connects honest DTLS clients, one after the other, until the flood is over. peak is the highest memory use
// of the daemon during the flood.
func (b *box) endureDTLS(t *testing.T, done <-chan flood.Result, n *newcomers) (r flood.Result, peak int) {
	t.Helper()
	addrs := flood.Addresses(honest, 200)
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for i := 0; ; i++ {
		peak = max(peak, b.memory(t))
		select {
		case r = <-done:
			return r, peak
		case <-pause.C:
		}
		begin := time.Now()
		c, err := b.tryDial(turn.DTLS, addrs[i%len(addrs)], "dtls")
		if err != nil {
			t.Errorf("connect an honest client, %s after its first packet: %v", time.Since(begin), err)
			continue
		}
		if _, err := c.Allocate(); err != nil {
			t.Errorf("allocate for an honest client, %s after its first packet: %v", time.Since(begin), err)
		}
		n.took, n.sends = append(n.took, time.Since(begin)), append(n.sends, c.Sends)
		c.Close()
	}
}

// helloCounter is an offset within the random bytes of a ClientHello.
const helloCounter = 13 + 12 + 2 + 8
