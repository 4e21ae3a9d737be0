package packetio

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Check succeeds while loops wait for packets. It fails while a loop is stuck in Receive, no matter which of its lanes
// got the packet. It succeeds again when the loop continues.
func TestCheckFindsAStuckLoop(t *testing.T) {
	l := newLoops(t, 2, defaultPolicy)
	for worker := range 2 {
		inside, release := make(chan struct{}), make(chan struct{})
		s, _ := open127(t, l, worker, 1500, func(*Packet) {
			inside <- struct{}{}
			<-release
		})
		c, _ := dial127(t, s.LocalAddr())
		for range 3 {
			checkPasses(t, l)
		}
		write(t, c, []byte("a packet"))
		<-inside
		waiting := make(chan error, 1)
		go func() { waiting <- l.Check(t.Context()) }() // others do not wait for it
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			if err := l.Check(ctx); !errors.Is(err, ErrStuck) {
				t.Errorf("worker %d is stuck: %v", worker, err)
			}
			cancel()
		}
		close(release)
		if err := <-waiting; err != nil {
			t.Errorf("worker %d goes on: %v", worker, err)
		}
		checkPasses(t, l)
	}
}

// A check leaves no event behind, so an idle loop sleeps again after one wake-up.
func TestCheckLeavesNoEvent(t *testing.T) {
	l := newLoops(t, 2, defaultPolicy)
	open127(t, l, 0, 1500, nil)
	checkPasses(t, l)
	for _, x := range l.loops {
		if n := x.home.poll(0, make([]unix.EpollEvent, 8)); n != 0 {
			t.Errorf("lane %d: %d events after a check", x.index, n)
		}
	}
}

// A loop that is busy in each round passes the check too.
func TestCheckOfABusyLoop(t *testing.T) {
	l := newLoops(t, 2, scalePolicy{busy: -1, calm: 1 << 62}) // lanes change loops after each round
	e := newEcho(t, l, 1, func() {})
	conn, _ := dial127(t, e.socket.LocalAddr())
	c := &client{conn: conn}
	for range 100 {
		c.exchange(t, 5)
		checkPasses(t, l)
	}
}

// Loops without sockets have nothing to check. A check of closed loops returns, even if it began before they were
// closed.
func TestCheckWithoutSockets(t *testing.T) {
	l := New(2)
	checkPasses(t, l)
	s, _ := open127(t, l, 0, 1500, nil)
	waiting := make(chan error, 1)
	go func() { waiting <- l.Check(t.Context()) }()
	_ = s.Close()
	l.Close()
	if err := <-waiting; err != nil {
		t.Error(err)
	}
	checkPasses(t, l)
}

func checkPasses(t *testing.T, l Loops) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := l.Check(ctx); err != nil {
		t.Error(err)
	}
}
