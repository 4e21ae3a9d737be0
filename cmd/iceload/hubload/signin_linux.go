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

// Visits has clients connect, sign in and leave again at an even rate.
type SignIns struct {
	dialer     *dialer
	namePrefix string // of names
	rate       int
	started    atomic.Uint64
	completed  atomic.Uint64

	mu     sync.Mutex
	result *Result
}

// NewVisits returns the visits of so many clients a second.
func NewSignIns(o Options, rate int) (*SignIns, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if rate < 1 || rate > MaxRate {
		return nil, fmt.Errorf("rate is %d: must be 1 to %d", rate, MaxRate)
	}
	return &SignIns{dialer: newDialer(&o), namePrefix: newNamePrefix("visitor"), rate: rate}, nil
}

// Progress is how many have come and gone.
func (v *SignIns) Progress() uint64 { return v.completed.Load() }

// Run lets clients come for a while. Latency is from connecting to being signed in.
func (v *SignIns) Run(ctx context.Context, d time.Duration) (*Result, error) {
	v.result = &Result{Latency: new(quantile.Histogram)}
	due := make(chan time.Time)
	var workers sync.WaitGroup
	for range v.dialer.opts.Window {
		workers.Go(func() {
			for range due {
				v.signInOnce(ctx)
			}
		})
	}
	start := time.Now()
	end := start.Add(d)
	schedule := pace.New(start, 1, v.rate)
	for now := start; now.Before(end) && ctx.Err() == nil; now = time.Now() {
		n, late := schedule.TakeDueSlots(now, v.rate)
		for range n {
			v.result.Sent++
			v.result.Lateness.Record(late)
			due <- now
		}
		if n == 0 {
			wait(ctx, schedule.NextDue())
		}
	}
	close(due)
	workers.Wait()
	v.result.Elapsed, v.result.Skipped = time.Since(start), schedule.SkippedPackets()
	if v.result.Received == 0 {
		return nil, fmt.Errorf("nobody could sign in: %w", errors.Join(v.result.Failure, ctx.Err()))
	}
	return v.result, ctx.Err()
}

func wait(ctx context.Context, until time.Time) {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// visit is one client's.
func (v *SignIns) signInOnce(ctx context.Context) {
	began := time.Now()
	c, err := v.dialer.signIn(ctx, fmt.Sprintf("%s-%d", v.namePrefix, v.started.Add(1)))
	took := time.Since(began)
	if err == nil {
		err = c.signOut(v.dialer.codec)
	}
	v.completed.Add(1)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err == nil {
		v.result.Received++
		v.result.Latency.Record(took)
		return
	}
	v.result.Failed++
	if v.result.Failure == nil {
		v.result.Failure = err
	}
}
