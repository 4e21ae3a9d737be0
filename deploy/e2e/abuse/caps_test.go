package abuse

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/flood"
	"icebox/deploy/e2e/abuse/stun"
	"icebox/deploy/e2e/abuse/turn"
)

// An address holds as many connections as it may, all addresses together no more than the total, and room that is
// given back can be taken again.
func TestConnectionCaps(t *testing.T) {
	const total, each = 300, 100
	b := start(t, settings{limits: fmt.Sprintf("{connections: %d, connections_per_address: %d}", total, each)})
	o := b.observe(t)
	before := o.during(func() {})
	addrs := flood.Addresses(crowdAddr, 5)
	for name, tr := range map[string]turn.Transport{"TCP": turn.TCP, "TLS": turn.TLS} {
		t.Run(name, func(t *testing.T) {
			var held []net.Conn
			defer func() { closeAll(held) }()
			take := func(from netip.Addr, n, want int) {
				t.Helper()
				alive := b.press(t, tr, from, n)
				held = append(held, alive...)
				if len(alive) != want {
					t.Errorf("%v holds %d connections after %d attempts, want %d", from, len(alive), n, want)
				}
			}
			o.unharmed("clients at the cap", before, func() {
				take(addrs[0], each+50, each)
				take(addrs[1], each, each)
				take(addrs[2], each+50, each)
				take(addrs[3], 50, 0)
			})
			closeAll(held[:each])
			held = held[each:]
			eventually(t, patience, func() error {
				c, err := b.tryDial(tr, addrs[3], "late")
				if err != nil {
					return err
				}
				defer c.Close()
				_, err = c.Allocate()
				return err
			})
		})
		eventually(t, patience, func() error { return empty(b, t, each) })
	}
}

// empty waits until a crowd has gone.
func empty(b *box, t *testing.T, most int) error {
	if n := b.files(t); n > most {
		return fmt.Errorf("%d files are open", n)
	}
	return nil
}

func closeAll(conns []net.Conn) {
	for _, c := range conns {
		c.Close()
	}
}

// press attempts n connections and returns those that are served.
func (b *box) press(t *testing.T, tr turn.Transport, from netip.Addr, n int) (alive []net.Conn) {
	t.Helper()
	conns := make([]net.Conn, n)
	_ = parallel(n, func(i int) error {
		c, err := turn.Dial(t.Context(), tr, from, b.at(tr, from))
		if err != nil {
			return nil // TLS: closed before the handshake
		}
		request := stun.Build(stun.Binding, stun.NewID())
		deadline := time.Now().Add(patience)
		if err = errors.Join(c.SetDeadline(deadline), write(c, request), read(c, 32)); err != nil {
			c.Close()
			return nil
		}
		conns[i] = c
		return nil
	})
	for _, c := range conns {
		if c != nil {
			alive = append(alive, c)
		}
	}
	return alive
}

func write(c net.Conn, b []byte) error {
	_, err := c.Write(b)
	return err
}

func read(c net.Conn, n int) error {
	b := make([]byte, n)
	_, err := c.Read(b)
	return err
}

// Whatever the number of ClientHellos from everywhere, an honest DTLS client gets through with its retransmissions, and
// others do not notice.
func TestHalfOpenDTLS(t *testing.T) {
	for _, rate := range []int{500, 5000, 20000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			b := start(t, settings{})
			o := b.observe(t)
			before, memory := o.during(func() {}), b.memory(t)
			var froms []netip.Addr
			for range 12 {
				froms = append(froms, flood.Addresses(attacker, 600)...)
			}
			sources := openFlood(t, b.secure, froms)
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
