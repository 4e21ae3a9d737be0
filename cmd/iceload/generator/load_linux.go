package generator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"icebox/cmd/iceload/quantile"
	"icebox/cmd/iceload/turnclient"
)

// startDelay is the time between telling the workers to send and the common moment at which they
// start.
const startDelay = 5 * time.Millisecond

// tearDownTimeout limits the time for releasing all allocations.
const tearDownTimeout = 15 * time.Second

// Load is a number of allocations and their peers. Only Progress is safe for concurrent use.
type Load struct {
	o       Options
	workers []*worker
}

// New opens the sockets of a load. It creates no allocations.
func New(o Options) (*Load, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	l := &Load{o: o}
	for i := range o.Workers {
		first, next := shareStart(o.Allocations, i, o.Workers), shareStart(o.Allocations, i+1, o.Workers)
		part := o
		part.Allocations = next - first
		part.Window = max(1, o.Window/o.Workers)
		part.Peers = min(part.Allocations, max(1, o.Peers/o.Workers))
		part.Rate = max(1, shareStart(o.Rate, i+1, o.Workers)-shareStart(o.Rate, i, o.Workers))
		w, err := openWorker(part, first)
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.workers = append(l.workers, w)
	}
	return l, nil
}

// shareStart returns where part i starts when all is divided into n equal parts.
func shareStart(all, i, n int) int { return all * i / n }

// onEachWorker calls f for all workers concurrently and waits for them.
func (l *Load) onEachWorker(f func(*worker) error) error {
	errs := make([]error, len(l.workers))
	var group sync.WaitGroup
	for i, w := range l.workers {
		group.Go(func() { errs[i] = f(w) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// SetUp creates allocations until there are upTo of them. It returns an error if some could not be
// created; the result says how many exist.
func (l *Load) SetUp(ctx context.Context, upTo int) (*SetUpResult, error) {
	start := time.Now()
	err := l.onEachWorker(func(w *worker) error { return w.setUpAllocations(ctx, upTo) })
	s := &SetUpResult{Elapsed: time.Since(start)}
	for _, w := range l.workers {
		s.Made += w.made
		s.Repeated += w.runner.Repeated
	}
	s.Times = l.requestTimes()
	s.Failures = l.takeFailures()
	if err == nil && len(s.Failures) > 0 {
		err = fmt.Errorf("only %d allocations could be set up: %v", s.Made, s.Failures[0])
	}
	return s, err
}

// takeFailures returns the failures since the last call.
func (l *Load) takeFailures() []Failure {
	all := failures{}
	for _, w := range l.workers {
		for text, n := range w.failures {
			all[text] += n
		}
		clear(w.failures)
	}
	return all.list()
}

// requestTimes returns the durations of all requests so far.
func (l *Load) requestTimes() map[turnclient.Step]*quantile.Histogram {
	times := make(map[turnclient.Step]*quantile.Histogram)
	for _, w := range l.workers {
		for step := range w.runner.Times {
			h := &w.runner.Times[step]
			if h.Count() == 0 {
				continue
			}
			if times[turnclient.Step(step)] == nil {
				times[turnclient.Step(step)] = new(quantile.Histogram)
			}
			times[turnclient.Step(step)].Merge(h)
		}
	}
	return times
}

// RunTraffic sends packets for d, or until ctx ends, and counts the packets that arrive.
func (l *Load) RunTraffic(ctx context.Context, d time.Duration) (*TrafficResult, error) {
	now := time.Now()
	for _, w := range l.workers {
		w.startPhase(now)
	}
	refused, _ := l.refused()
	start := time.Now().Add(startDelay)
	err := l.onEachWorker(func(w *worker) error { return w.runTraffic(ctx, start, d) })
	all := l.workers[0].phaseResult()
	for _, w := range l.workers[1:] {
		all.add(w.phaseResult())
	}
	all.Failures = l.takeFailures()
	var reason error
	all.Refused, reason = l.refused()
	if all.Refused -= refused; all.Refused > 0 {
		all.RefusedFor = reason
	}
	return all, err
}

// refused returns how many messages and packets this host has refused to send so far, and the first
// of the errors.
func (l *Load) refused() (n uint64, err error) {
	for _, w := range l.workers {
		for _, lost := range []func() (uint64, error){w.clients.SendFailures, w.peers.SendFailures} {
			m, reason := lost()
			n += m
			if err == nil {
				err = reason
			}
		}
	}
	return n, err
}

// Progress returns how many packets of the current phase have been sent and received so far. It is
// safe for concurrent use.
func (l *Load) Progress() (sent, received uint64) {
	for _, w := range l.workers {
		sent += w.progress.sent.Load()
		received += w.progress.received.Load()
	}
	return sent, received
}

// TearDown releases all allocations, even if ctx has ended.
func (l *Load) TearDown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tearDownTimeout)
	defer cancel()
	return l.onEachWorker(func(w *worker) error { return w.tearDown(ctx) })
}

// Close closes all sockets.
func (l *Load) Close() error { return l.onEachWorker((*worker).close) }
