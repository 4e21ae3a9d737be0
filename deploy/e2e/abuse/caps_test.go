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
	capTotal = 300
	capEach  = 100
)

// An address holds as many connections as it may. When all together hold as many as they may, newcomers are still
// served, in place of connections without an allocation.
func TestConnectionCaps(t *testing.T) {
	for name, tr := range map[string]turn.Transport{"TCP": turn.TCP, "TLS": turn.TLS} {
		t.Run(name, func(t *testing.T) {
			b := start(t, settings{limits: fmt.Sprintf("{connections: %d, connections_per_address: %d}", capTotal, capEach)})
			o := b.observe(t)
			before, files := o.during(func() {}), b.files(t)
			addrs := flood.Addresses(crowdAddr, 4)
			o.unharmed("clients at the cap", before, func() {
				for i, attempts := range []int{capEach + 50, capEach, capEach + 50} {
					if n := len(b.press(t, tr, addrs[i], attempts)); n != capEach {
						t.Errorf("%v holds %d connections after %d attempts, want %d", addrs[i], n, attempts, capEach)
					}
				}
				if n := len(b.press(t, tr, addrs[3], 50)); n < 40 { // some push out each other
					t.Errorf("%d of 50 newcomers are served", n)
				}
			})
			eventually(t, patience, func() error {
				if n := b.files(t) - files; n != capTotal {
					return fmt.Errorf("%d connections are open, want %d", n, capTotal)
				}
				return nil
			})
			b.allocate(t, tr, honest, "newcomer")
		})
	}
}

// Connections with allocations stay, and their end makes room.
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
		t.Errorf("%d connections beyond the total", n)
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

// press attempts n connections and returns those that are served. They are open until the test ends.
func (b *box) press(t *testing.T, tr turn.Transport, from netip.Addr, n int) (alive []net.Conn) {
	t.Helper()
	conns := make([]net.Conn, n)
	_ = parallel(n, func(i int) error {
		if c, err := turn.Dial(t.Context(), tr, from, b.at(tr, from)); err == nil && served(c) {
			conns[i] = c
		}
		return nil // to be refused is no error
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

// served tells whether a Binding request is answered; c is closed where it is not.
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

// Whatever the number of ClientHellos from everywhere, an honest DTLS client gets through with its retransmissions, and
// others do not notice.
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
			t.Logf("%.0f ClientHellos a second: %.0f a second answered; %.0f%% of a processor; memory %.1f MiB before, %.1f MiB at most",
				r.Rate(), float64(r.Replies)/r.Took.Seconds(), 100*cpu.Seconds()/r.Took.Seconds(), mib(memory), mib(peak))
			n.log(t)
		})
	}
}

// endureDTLS lets honest DTLS clients come, one after the other, until the flood is over.
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
			t.Errorf("an honest client after %s: %v", time.Since(begin), err)
			continue
		}
		if _, err := c.Allocate(); err != nil {
			t.Errorf("an honest client after %s: %v", time.Since(begin), err)
		}
		n.took, n.sends = append(n.took, time.Since(begin)), append(n.sends, c.Sends)
		c.Close()
	}
}

// helloCounter is in the random bytes of a ClientHello.
const helloCounter = 13 + 12 + 2 + 8
