package hubload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"icebox/cmd/iceload/pace"
	"icebox/cmd/iceload/quantile"
)

// SignIns lets clients connect, sign in and leave again at an even rate. Only Progress is safe for
// concurrent use.
type SignIns struct {
	dialer     *dialer
	namePrefix string // of the clients' names
	rate       int
	started    atomic.Uint64
	completed  atomic.Uint64

	mu     sync.Mutex
	result *Result
}

// NewSignIns returns a load of rate sign-ins per second.
func NewSignIns(o Options, rate int) (*SignIns, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if rate < 1 || rate > MaxRate {
		return nil, fmt.Errorf("rate is %d: must be 1 to %d", rate, MaxRate)
	}
	return &SignIns{dialer: newDialer(&o), namePrefix: newNamePrefix("visitor"), rate: rate}, nil
}

// Progress returns how many clients have signed in and left.
func (s *SignIns) Progress() uint64 { return s.completed.Load() }

// Run signs clients in for d. The latency in its result is the time from connecting until the
// client has signed in.
func (s *SignIns) Run(ctx context.Context, d time.Duration) (*Result, error) {
	s.result = &Result{Latency: new(quantile.Histogram)}
	due := make(chan time.Time)
	var workers sync.WaitGroup
	for range s.dialer.opts.Window {
		workers.Go(func() {
			for range due {
				s.signInOnce(ctx)
			}
		})
	}
	start := time.Now()
	end := start.Add(d)
	schedule := pace.New(start, 1, s.rate)
	for now := start; now.Before(end) && ctx.Err() == nil; now = time.Now() {
		n, late := schedule.TakeDueSlots(now, s.rate)
		for range n {
			s.result.Sent++
			s.result.Lateness.Record(late)
			due <- now
		}
		if n == 0 {
			wait(ctx, schedule.NextDue())
		}
	}
	close(due)
	workers.Wait()
	s.result.Elapsed, s.result.Skipped = time.Since(start), schedule.SkippedPackets()
	if s.result.Received == 0 {
		return nil, fmt.Errorf("no client could sign in: %w", errors.Join(s.result.Failure, ctx.Err()))
	}
	return s.result, ctx.Err()
}

func wait(ctx context.Context, until time.Time) {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// signInOnce signs one client in and out again.
func (s *SignIns) signInOnce(ctx context.Context) {
	began := time.Now()
	c, err := s.dialer.signIn(ctx, fmt.Sprintf("%s-%d", s.namePrefix, s.started.Add(1)))
	took := time.Since(began)
	if err == nil {
		err = c.signOut(s.dialer.codec)
	}
	s.completed.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.result.Received++
		s.result.Latency.Record(took)
		return
	}
	s.result.Failed++
	if s.result.Failure == nil {
		s.result.Failure = err
	}
}
