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
type Visits struct {
	dialer *dialer
	prefix string // of names
	rate   int
	begun  atomic.Uint64
	done   atomic.Uint64

	mu  sync.Mutex
	out *Exchanged
}

// NewVisits returns the visits of so many clients a second.
func NewVisits(o Options, rate int) (*Visits, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if rate < 1 || rate > MaxRate {
		return nil, fmt.Errorf("rate is %d: must be 1 to %d", rate, MaxRate)
	}
	return &Visits{dialer: newDialer(&o), prefix: newPrefix("visitor"), rate: rate}, nil
}

// Progress is how many have come and gone.
func (v *Visits) Progress() uint64 { return v.done.Load() }

// Run lets clients come for a while. Latency is from connecting to being signed in.
func (v *Visits) Run(ctx context.Context, d time.Duration) (*Exchanged, error) {
	v.out = &Exchanged{Latency: new(quantile.Histogram)}
	due := make(chan time.Time)
	var workers sync.WaitGroup
	for range v.dialer.opts.Window {
		workers.Go(func() {
			for range due {
				v.visit(ctx)
			}
		})
	}
	start := time.Now()
	end := start.Add(d)
	schedule := pace.New(start, 1, v.rate)
	for now := start; now.Before(end) && ctx.Err() == nil; now = time.Now() {
		n, late := schedule.Due(now, v.rate)
		for range n {
			v.out.Sent++
			v.out.Late.Record(late)
			due <- now
		}
		if n == 0 {
			wait(ctx, schedule.Next())
		}
	}
	close(due)
	workers.Wait()
	v.out.Elapsed, v.out.Skipped = time.Since(start), schedule.Skipped()
	if v.out.Received == 0 {
		return nil, fmt.Errorf("nobody could sign in: %w", errors.Join(v.out.Failure, ctx.Err()))
	}
	return v.out, ctx.Err()
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
func (v *Visits) visit(ctx context.Context) {
	began := time.Now()
	c, err := v.dialer.signIn(ctx, fmt.Sprintf("%s-%d", v.prefix, v.begun.Add(1)))
	took := time.Since(began)
	if err == nil {
		err = c.leave(v.dialer.dialect)
	}
	v.done.Add(1)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err == nil {
		v.out.Received++
		v.out.Latency.Record(took)
		return
	}
	v.out.Failed++
	if v.out.Failure == nil {
		v.out.Failure = err
	}
}
