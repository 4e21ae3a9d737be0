package abuse

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"icebox/deploy/e2e/abuse/turn"
)

// When connections have used up all file descriptors of the daemon, running calls go on and an Allocate is refused with
// 508. When the connections are closed, the daemon serves all transports again.
func TestFileExhaustion(t *testing.T) {
	b := start(t, settings{})
	o := b.observe(t)
	before := o.during(func() {})
	limit := b.files(t) + 60
	if err := unix.Prlimit(b.PID(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(limit), Max: uint64(limit)}, nil); err != nil {
		t.Fatal(err)
	}
	var held []net.Conn
	o.unharmed("file exhaustion", before, func() {
		for range 90 { // more than fit, so that some connections wait in the kernel
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			c, err := turn.Dial(ctx, turn.TCP, crowdAddr, b.plain)
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, c)
		}
		// A descriptor that the daemon frees late, such as that of the request for its readiness, goes to one more Allocate.
		eventually(t, patience, func() error {
			if n := b.files(t); n < limit {
				return fmt.Errorf("%d of %d descriptors are in use", n, limit)
			}
			_, err := b.dial(t, turn.UDP, crowdAddr, "waiting").Allocate()
			if got := codeOf(err); got != 508 {
				return fmt.Errorf("Allocate without descriptors: code %d, want 508", got)
			}
			return nil
		})
	})
	for _, c := range held {
		c.Close()
	}
	released := time.Now()
	for _, tr := range []turn.Transport{turn.UDP, turn.TCP, turn.TLS, turn.DTLS} {
		eventually(t, patience, func() error {
			c, err := b.tryDial(tr, honest, "after")
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Allocate()
			return err
		})
		t.Logf("allocation over %s succeeded %s after the descriptors were released", tr, time.Since(released).Round(time.Millisecond))
	}
	if n := b.Metric("icebox_turn_sessions", `transport="udp"`); n < 1 { // Metric uses HTTP, which works again too
		t.Errorf("%v sessions over UDP", n)
	}
}
