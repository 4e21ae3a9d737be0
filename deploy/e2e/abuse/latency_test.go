package abuse

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/turn"
)

// latency summarizes the round trips through the relay.
type latency struct {
	median, p99 time.Duration
	made, lost  int
}

func (l latency) String() string {
	return fmt.Sprintf("median %s, p99 %s, %d of %d lost", l.median.Round(time.Microsecond), l.p99.Round(time.Microsecond), l.lost, l.made)
}

// near reports whether l is at most twice the latency before, or at most 5 ms above it, and whether at most one round
// trip in 500 was lost. A round trip counts as lost after 1 s, because a busy machine can stop a process that long.
func (l latency) near(before latency) bool {
	ok := func(now, then time.Duration) bool { return now <= max(2*then, then+5*time.Millisecond) }
	return ok(l.median, before.median) && ok(l.p99, before.p99) && l.lost <= l.made/500
}

// roundTrips measures n round trips over a channel to the echo peer.
func roundTrips(c *turn.Client, number uint16, n int) (latency, error) {
	var times []time.Duration
	l := latency{made: n}
	for i := range n {
		payload := fmt.Sprintf("%08d", i)
		start := time.Now()
		if err := c.SendOn(number, []byte(payload)); err != nil {
			return l, err
		}
		for {
			b, err := c.Receive(time.Second)
			if errors.Is(err, turn.ErrSilence) {
				l.lost++
				break
			}
			if err != nil {
				return l, err
			}
			if strings.HasSuffix(string(b), payload) { // otherwise it is the echo of an earlier packet
				times = append(times, time.Since(start))
				break
			}
		}
	}
	if len(times) == 0 {
		return l, fmt.Errorf("all %d round trips were lost", n)
	}
	slices.Sort(times)
	l.median, l.p99 = times[len(times)/2], times[len(times)*99/100]
	return l, nil
}

// observer is a UDP client that measures round trips continuously, in windows of windowSize round trips.
type observer struct {
	t    *testing.T
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	windows []latency
	err     error
}

const windowSize = 300

// observe allocates, binds a channel to an echo peer and starts measuring.
func (b *box) observe(t *testing.T) *observer {
	t.Helper()
	c, _ := b.allocate(t, turn.UDP, honest, "observer")
	if err := c.Bind(0x4000, startEcho(t)); err != nil {
		t.Fatal(err)
	}
	o := &observer{t: t, stop: make(chan struct{}), done: make(chan struct{})}
	go o.run(c)
	t.Cleanup(func() {
		close(o.stop)
		<-o.done
	})
	return o
}

func (o *observer) run(c *turn.Client) {
	defer close(o.done)
	pause := time.NewTicker(50 * time.Millisecond)
	defer pause.Stop()
	for {
		l, err := roundTrips(c, 0x4000, windowSize)
		o.mu.Lock()
		o.windows = append(o.windows, l)
		o.err = err
		o.mu.Unlock()
		select {
		case <-o.stop:
			return
		case <-pause.C:
		}
		if err != nil {
			return
		}
	}
}

// during returns the latency while do runs, over at least six windows. It takes the lower quartile of the windows,
// because an attack that works affects all of them, and other programs on the machine affect only a few.
func (o *observer) during(do func()) latency {
	o.t.Helper()
	from := o.count() + 1 // the current window began before do
	do()
	eventually(o.t, patience, func() error {
		if n := o.count(); n < from+6 {
			return fmt.Errorf("only %d windows were measured", n-from)
		}
		return nil
	})
	return o.since(from)
}

// since returns the latency over the windows with index from and later.
func (o *observer) since(from int) latency {
	o.mu.Lock()
	seen := slices.Clone(o.windows[from:])
	o.mu.Unlock()
	by := func(pick func(latency) time.Duration) time.Duration {
		slices.SortFunc(seen, func(a, b latency) int { return cmp.Compare(pick(a), pick(b)) })
		return pick(seen[len(seen)/4])
	}
	l := latency{
		median: by(func(l latency) time.Duration { return l.median }),
		p99:    by(func(l latency) time.Duration { return l.p99 }),
	}
	for _, w := range seen {
		l.lost += w.lost
		l.made += w.made
	}
	return l
}

// count returns the number of measured windows.
func (o *observer) count() int {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		o.t.Fatalf("measure round trips: %v", o.err)
	}
	return len(o.windows)
}

// settle waits until the latency is near the one before, or until patience has passed. The caller checks the latency
// afterwards.
func (o *observer) settle(before latency) {
	o.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for from := o.count() + 1; ; {
		select {
		case <-deadline:
			return
		case <-tick.C:
		}
		if n := o.count(); n > from+6 && o.since(max(from, n-12)).near(before) {
			return
		}
	}
}

// unharmed runs do and asserts that the latency stays near the one before.
func (o *observer) unharmed(what string, before latency, do func()) {
	o.t.Helper()
	l := o.during(do)
	o.t.Logf("round trips, %s: %v (before: %v)", what, l, before)
	if !l.near(before) {
		o.t.Errorf("latency increased during %s", what)
	}
}
