package packetio

import (
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newLoops returns loops with a policy for a test.
func newLoops(t *testing.T, workers int, policy scalePolicy) *loops {
	l := New(workers).(*loops)
	l.policy = policy
	t.Cleanup(l.Close)
	return l
}

// ends returns loop.end of each loop. A loop serves the lanes from its own index to end-1.
func (l *loops) ends() (ends []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.loops {
		ends = append(ends, x.end)
	}
	return ends
}

// echo is a socket that sends every packet back. It counts packets that arrive out of order, or while another of its packets is
// being handled.
type echo struct {
	socket  Socket
	inside  atomic.Int32
	next    map[string]uint32 // by client
	faults  atomic.Int32
	handled atomic.Uint32
}

func newEcho(t *testing.T, l Loops, worker int, work func()) *echo {
	e := &echo{next: make(map[string]uint32)}
	ready := make(chan struct{})
	e.socket, _ = open127(t, l, worker, 1500, func(p *Packet) {
		<-ready
		if e.inside.Add(1) != 1 {
			e.faults.Add(1)
		}
		from, number := p.Addr.String(), binary.BigEndian.Uint32(p.Payload())
		if number != e.next[from] {
			e.faults.Add(1)
		}
		e.next[from] = number + 1
		e.handled.Add(1)
		work()
		e.socket.Send(p)
		e.inside.Add(-1)
	})
	close(ready)
	return e
}

// client sends numbers to an echo.
type client struct {
	conn     *net.UDPConn
	sent, in uint32
}

// exchange sends n packets at once and waits until all have come back in order.
func (c *client) exchange(t *testing.T, n int) {
	t.Helper()
	for range n {
		write(t, c.conn, binary.BigEndian.AppendUint32(nil, c.sent))
		c.sent++
	}
	for c.in != c.sent {
		if got := binary.BigEndian.Uint32([]byte(read(t, c.conn))); got != c.in {
			t.Fatalf("got packet %d back, want %d", got, c.in)
		}
		c.in++
	}
}

// When lanes change loops after each round, no packet is lost, repeated or reordered, and one loop at a time serves each lane.
func TestHandover(t *testing.T) {
	const workers = 4
	l := newLoops(t, workers, scalePolicy{busy: -1, calm: 1 << 62}) // a loop splits if it can, and otherwise merges
	var echoes []*echo
	var clients []*client
	for i := range 2 * workers {
		e := newEcho(t, l, i%workers, func() {})
		c, _ := dial127(t, e.socket.LocalAddr())
		echoes, clients = append(echoes, e), append(clients, &client{conn: c})
	}
	seen := make(map[string]bool)
	for range 200 {
		for _, c := range clients {
			c.exchange(t, 5)
		}
		seen[fmt.Sprint(l.ends())] = true
	}
	for i, e := range echoes {
		if n := e.faults.Load(); n != 0 || e.handled.Load() != clients[i].sent {
			t.Errorf("socket %d: %d packets of %d, %d out of order or at the same time", i, e.handled.Load(), clients[i].sent, n)
		}
	}
	if len(seen) < 2 {
		t.Errorf("lanes were never handed over: %v", seen)
	}
}

// One loop serves all lanes until it is overloaded, and again once the load is low.
func TestLoopsByLoad(t *testing.T) {
	l := newLoops(t, 2, defaultPolicy)
	var hard atomic.Bool
	work := func() {
		for began := time.Now(); hard.Load() && time.Since(began) < 100*time.Microsecond; {
		}
	}
	echoes := []*echo{newEcho(t, l, 0, work), newEcho(t, l, 1, work)}
	var clients []*client
	for _, e := range echoes {
		c, _ := dial127(t, e.socket.LocalAddr())
		clients = append(clients, &client{conn: c})
	}
	exchange := func(n int) {
		for _, c := range clients {
			c.exchange(t, n)
		}
	}
	until := func(want []int, n int, pace <-chan time.Time) {
		t.Helper()
		for deadline := time.Now().Add(patience); !slices.Equal(l.ends(), want); {
			exchange(n)
			if pace != nil {
				<-pace
			}
			if time.Now().After(deadline) {
				t.Fatalf("lanes end at %v, want %v", l.ends(), want)
			}
		}
	}
	exchange(1)
	if got := l.ends(); !slices.Equal(got, []int{2, 1}) {
		t.Errorf("lanes end at %v in the beginning", got)
	}
	hard.Store(true)
	until([]int{1, 2}, 100, nil)
	hard.Store(false)
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	until([]int{2, 1}, 1, pace.C)
	for i, e := range echoes {
		if n := e.faults.Load(); n != 0 || e.handled.Load() != clients[i].sent {
			t.Errorf("socket %d: %d packets of %d, %d out of order or at the same time", i, e.handled.Load(), clients[i].sent, n)
		}
	}
}

// Each split gives away half of the lanes until each loop has only its own. Each merge gives them back.
func TestSplitAndMerge(t *testing.T) {
	l := newLoops(t, 5, scalePolicy{window: time.Hour, calm: 1 << 62})
	if err := l.create(); err != nil {
		t.Fatal(err)
	}
	for _, x := range l.loops {
		x.meter.reset(0)
	}
	split := func(i int, want ...int) {
		t.Helper()
		if l.split(l.loops[i]) {
			<-l.loops[l.loops[i].end].woken
		}
		if got := l.ends(); !slices.Equal(got, want) {
			t.Fatalf("lanes end at %v after the split of %d, want %v", got, i, want)
		}
	}
	merge := func(i int, want ...int) {
		t.Helper()
		l.merge(l.loops[i])
		if got := l.ends(); !slices.Equal(got, want) {
			t.Fatalf("lanes end at %v after the merge of %d, want %v", got, i, want)
		}
	}
	split(0, 3, 1, 2, 5, 4)
	split(3, 3, 1, 2, 4, 5)
	split(0, 2, 1, 3, 4, 5)
	split(2, 2, 1, 3, 4, 5) // it has only its own lane, so nothing changes
	merge(3, 2, 1, 4, 3, 5)
	merge(4, 2, 1, 5, 3, 4)
	split(2, 2, 1, 4, 3, 5)
	merge(2, 4, 1, 2, 3, 5)
	merge(4, 5, 1, 2, 3, 4)
}

// A loop parks on the netpoller after a long wait and returns to epoll_wait after many short ones. It misses no packet when it
// changes.
func TestWaiter(t *testing.T) {
	l := newLoops(t, 1, defaultPolicy)
	e := newEcho(t, l, 0, func() {})
	conn, _ := dial127(t, e.socket.LocalAddr())
	c := &client{conn: conn}
	pace := time.NewTicker(4 * longWait)
	defer pace.Stop()
	for range 5 {
		<-pace.C
		c.exchange(t, 1) // after a long wait
		for range 2 * manyRounds {
			c.exchange(t, 1)
		}
	}
	if e.faults.Load() != 0 {
		t.Errorf("%d packets out of order", e.faults.Load())
	}

	var w waiter
	home := l.loops[0].home
	events := make([]unix.EpollEvent, 1)
	for i, step := range []struct {
		waited time.Duration
		parked bool
	}{{longWait - 1, false}, {longWait, true}, {shortWait - 1, true}, {shortWait, true}} {
		if w.chooseMode(home, step.waited); (w.file != nil) != step.parked {
			t.Fatalf("step %d: parked is %v", i, w.file != nil)
		}
	}
	for i := range manyRounds {
		if w.file == nil {
			t.Fatalf("not parked any more after %d short waits", i)
		}
		w.chooseMode(home, 0)
	}
	if w.file != nil {
		t.Errorf("still parked after %d short waits", manyRounds)
	}
	w.chooseMode(home, longWait)
	home.stop() // from now on each poll finds this event, because a stopped loop does not reset it
	for range 3 {
		if n := w.wait(home, events); n != 1 || events[0].Fd != wakerSlot {
			t.Errorf("found %d events", n)
		}
	}
	w.useSyscall()
}
