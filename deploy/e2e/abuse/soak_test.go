package abuse

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/flood"
	"icebox/deploy/e2e/abuse/stun"
	"icebox/deploy/e2e/abuse/turn"
)

const (
	soakWorkers = 12
	soakRate    = 500              // the most allocations a second, to leave processor time for other programs
	soakBrief   = 5 * time.Second  // the default
	soakLong    = 10 * time.Minute // the default with LONG=1
	soakLongMin = 200000           // the fewest allocations of a long soak
)

// soak runs clients that connect, exchange packets and leave.
type soak struct {
	b     *box
	echo  netip.AddrPort
	addrs []netip.Addr
	turns chan struct{} // one element starts one client

	next  atomic.Int64 // number of the last client
	done  atomic.Int64 // allocations made and used
	trips atomic.Int64 // packets that were echoed
	lost  atomic.Int64 // packets that were not

	mu     sync.Mutex
	failed []error
}

// After hundreds of thousands of allocations over all transports, with traffic, the daemon has no more goroutines,
// descriptors and memory than at the start, and no session.
func TestSoak(t *testing.T) {
	d := soakFor(t)
	least := int64(0)
	if d >= soakLong {
		least = soakLongMin
	}
	b := start(t, settings{limits: "{connections_per_address: 2000, allocations_per_user: 200, allocations_per_address: 2000}"})
	s := &soak{b: b, echo: startEcho(t), addrs: flood.Addresses(crowdAddr, 150), turns: make(chan struct{})}
	s.run(t, 2*time.Second+d/60, 0) // warms the daemon up
	s.idle(t, b.files(t)+20, 1e6)
	files, goroutines, warm := b.files(t), b.Metric("go_goroutines"), s.done.Load()

	cpu, begin := b.cpu(t), time.Now()
	memory := s.run(t, d, least)
	took, n := time.Since(begin), s.done.Load()-warm
	cpu = b.cpu(t) - cpu
	s.idle(t, files, goroutines)
	early, late := memory[:1+len(memory)/5], memory[len(memory)*4/5:]
	slices.Sort(early)
	slices.Sort(late)
	first, last := early[len(early)/2], late[len(late)/2]
	t.Logf("%d allocations in %s (%.0f a second); %d packets were echoed, %d were not; %.2f ms of processor time for each allocation",
		n, took.Round(time.Second), float64(n)/took.Seconds(), s.trips.Load(), s.lost.Load(), 1000*cpu.Seconds()/float64(n))
	t.Logf("memory %.1f MiB in the first fifth, %.1f MiB in the last; files %d before, %d after; goroutines %v before, %v after",
		mib(first), mib(last), files, b.files(t), goroutines, b.Metric("go_goroutines"))
	if last > first+first/5+4<<20 {
		t.Errorf("memory grew from %.1f MiB to %.1f MiB", mib(first), mib(last))
	}
	for _, err := range s.failed {
		t.Error(err)
	}
}

// soakFor returns the duration of the soak.
func soakFor(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SOAK_FOR")
	switch {
	case text == "" && os.Getenv("LONG") == "1":
		return soakLong
	case text == "":
		return soakBrief
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SOAK_FOR: %v", err)
	}
	return d
}

// run runs clients for the duration d, and longer if needed to make at least least allocations. It returns samples of the
// daemon's memory use.
func (s *soak) run(t *testing.T, d time.Duration, least int64) (memory []int) {
	t.Helper()
	s.turns = make(chan struct{})
	var wg sync.WaitGroup
	for range soakWorkers {
		wg.Go(func() {
			for range s.turns {
				if err := s.client(int(s.next.Add(1))); err != nil {
					s.mu.Lock()
					s.failed = append(s.failed, err)
					s.mu.Unlock()
				}
			}
		})
	}
	pace, sample := time.NewTicker(time.Second/soakRate), time.NewTicker(max(d/200, 20*time.Millisecond))
	defer pace.Stop()
	defer sample.Stop()
	begin, from := time.Now(), s.done.Load()
	for time.Since(begin) < d || s.done.Load()-from < least {
		s.mu.Lock()
		failures := len(s.failed)
		s.mu.Unlock()
		if failures > 20 || time.Since(begin) > 3*d {
			t.Errorf("%d failures, %d allocations in %s", failures, s.done.Load()-from, time.Since(begin))
			break
		}
		select {
		case <-pace.C:
			s.turns <- struct{}{}
		case <-sample.C:
			memory = append(memory, s.b.memory(t))
		}
	}
	close(s.turns)
	wg.Wait()
	return append(memory, s.b.memory(t))
}

// idle waits until no session is left, and no more descriptors and goroutines than files and goroutines.
func (s *soak) idle(t *testing.T, files int, goroutines float64) {
	t.Helper()
	eventually(t, 2*patience, func() error {
		n, f, g := s.b.Metric("icebox_turn_sessions"), s.b.files(t), s.b.Metric("go_goroutines")
		if n > 0 || f > files || g > goroutines+2 { // the request for the metrics has two
			return fmt.Errorf("%v sessions, %d files (%d before), %v goroutines (%v before)", n, f, files, g, goroutines)
		}
		return nil
	})
}

// client runs the i-th client. One client in 100 uses DTLS, one in 20 TLS, and one in 5 TCP.
func (s *soak) client(i int) error {
	tr := turn.UDP
	switch {
	case i%100 == 50:
		tr = turn.DTLS
	case i%20 == 0:
		tr = turn.TLS
	case i%5 == 0:
		tr = turn.TCP
	}
	c, err := s.b.tryDial(tr, s.addrs[i%len(s.addrs)], fmt.Sprint("user", i%150))
	if err != nil {
		return fmt.Errorf("client %d: dial %s: %w", i, tr, err)
	}
	defer c.Close()
	if _, err := c.Allocate(); err != nil {
		return fmt.Errorf("client %d: allocate over %s: %w", i, tr, err)
	}
	if err := s.talk(c, i); err != nil {
		return fmt.Errorf("client %d over %s: %w", i, tr, err)
	}
	s.done.Add(1)
	if i%2 == 0 && tr != turn.UDP {
		return nil // leaves without releasing its allocation
	}
	if err := c.Release(); err != nil {
		return fmt.Errorf("client %d: release over %s: %w", i, tr, err)
	}
	return nil
}

// talk exchanges three packets with the echo peer, over a channel or in indications.
func (s *soak) talk(c *turn.Client, i int) error {
	payload := make([]byte, 200+4*(i%200))
	var say func() error
	var err error
	if i%3 > 0 {
		err = c.Bind(0x4000, s.echo)
		say = func() error { return c.SendOn(0x4000, payload) }
	} else {
		err = c.Permit(s.echo)
		say = func() error { return c.SendTo(s.echo, payload) }
	}
	for range 3 {
		if err == nil {
			err = say()
		}
	}
	for range 3 {
		if err != nil {
			return err
		}
		if _, err := c.Receive(2 * time.Second); err != nil {
			s.lost.Add(1) // a busy machine may lose datagrams
			continue
		}
		s.trips.Add(1)
	}
	if i%7 == 0 {
		_, err = c.Request(stun.Refresh)
	}
	return err
}
