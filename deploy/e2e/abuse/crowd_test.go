package abuse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/flood"
	"icebox/deploy/e2e/abuse/turn"
)

// crowdAddr is the first address of the clients that connect in crowds.
var crowdAddr = netip.MustParseAddr("127.20.0.5")

// perAddress is the number of clients in a crowd that share an address. The daemon allows 250.
const perAddress = 100

// crowd is a large number of connections of abusive clients.
type crowd struct {
	conns  []net.Conn
	since  []time.Time     // when each connection was made
	lasted []time.Duration // how long each connection lasted; set by watch
	open   atomic.Int64    // watched connections that are still open
	wg     sync.WaitGroup
}

// gather connects n clients, a few at a time. skip is the number of addresses to leave out because another crowd uses
// them.
func (b *box) gather(t *testing.T, tr turn.Transport, n, skip int) *crowd {
	t.Helper()
	addrs := flood.Addresses(crowdAddr, skip+(n+perAddress-1)/perAddress)[skip:]
	c := &crowd{conns: make([]net.Conn, n), since: make([]time.Time, n)}
	err := parallel(n, func(i int) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var err error
		c.conns[i], err = turn.Dial(ctx, tr, addrs[i/perAddress], b.at(tr, crowdAddr))
		c.since[i] = time.Now()
		return err
	})
	t.Cleanup(c.close)
	if err != nil {
		t.Fatalf("gather %d clients over %s: %v", n, tr, err)
	}
	return c
}

func (c *crowd) close() {
	for _, conn := range c.conns {
		if conn != nil {
			conn.Close()
		}
	}
	c.wg.Wait()
}

// watch records when the daemon closes each connection. It discards all data that the daemon sends.
func (c *crowd) watch() *crowd {
	c.lasted = make([]time.Duration, len(c.conns))
	c.open.Store(int64(len(c.conns)))
	for i, conn := range c.conns {
		c.wg.Go(func() {
			ended(conn, time.Time{})
			c.lasted[i] = time.Since(c.since[i])
			c.open.Add(-1)
		})
	}
	return c
}

// awaitEnd waits until the daemon has closed every connection. It returns the shortest and the longest time that a
// connection lasted.
func (c *crowd) awaitEnd(t *testing.T, within time.Duration) (first, last time.Duration) {
	t.Helper()
	eventually(t, within, func() error {
		if n := c.open.Load(); n > 0 {
			return fmt.Errorf("%d of %d connections are still open", n, len(c.conns))
		}
		return nil
	})
	c.wg.Wait()
	return slices.Min(c.lasted), slices.Max(c.lasted)
}

// ended waits until c is closed, normally by the other side. It reports false if that has not happened at the deadline.
func ended(c net.Conn, deadline time.Time) bool {
	err := c.SetReadDeadline(deadline)
	for b := make([]byte, 64); err == nil; {
		_, err = c.Read(b)
	}
	var ne net.Error
	return !errors.As(err, &ne) || !ne.Timeout()
}

// parallel calls do with 0 to n-1, in sixteen goroutines. After an error it starts no further calls.
func parallel(n int, do func(i int) error) error {
	var next, failed atomic.Int64
	errs := make([]error, 16)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for failed.Load() == 0 {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if errs[w] = do(i); errs[w] != nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
