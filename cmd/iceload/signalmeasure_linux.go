package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"icebox/cmd/iceload/hubload"
	"icebox/cmd/iceload/procstat"
)

// measureHub runs each requested load against a server. If it returns an error, the report has the
// loads that were measured before.
func (p *program) measureHub(ctx context.Context, o hubload.Options, l *hubLoads, server *procstat.Process) (*signalReport, error) {
	r := &signalReport{Server: o.Server.String(), TLS: o.TLS, Protocol: string(o.Protocol)}
	for _, name := range []string{candidates, offers, signIns, idle} {
		if !slices.Contains(l.names, name) {
			continue
		}
		p.progress("%s ...", name)
		var err error
		switch name {
		case idle:
			r.Idle, err = p.measureIdle(ctx, o, l, server)
		case signIns:
			var e *exchangeReport
			if e, err = p.measureSignIns(ctx, o, l, server); err == nil {
				r.Loads = append(r.Loads, *e)
			}
		default:
			var e *exchangeReport
			if e, err = p.measureExchange(ctx, o, l, name, server); err == nil {
				r.Loads = append(r.Loads, *e)
			}
		}
		if err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
	}
	return r, ctx.Err()
}

// measureExchange measures how the server delivers candidates or offers.
func (p *program) measureExchange(ctx context.Context, o hubload.Options, l *hubLoads, name string, server *procstat.Process) (*exchangeReport, error) {
	g, err := newUsageReader(server)
	if err != nil {
		return nil, err
	}
	load, err := hubload.New(o)
	if err != nil {
		return nil, err
	}
	defer load.Close()
	if err := load.Grow(ctx, l.clients); err != nil {
		return nil, err
	}
	e := l.exchange(name)
	if l.warmup > 0 {
		if _, err := load.Run(ctx, e, l.warmup); err != nil {
			return nil, err
		}
	}
	r := &exchangeReport{Name: name, Unit: "message", Clients: load.Clients(), Rate: e.Rate, Size: e.Size}
	return r, p.measureWhile(g, r, l.duration, load.Progress, func() (*hubload.Result, error) { return load.Run(ctx, e, l.duration) })
}

// measureSignIns measures how the server signs clients in.
func (p *program) measureSignIns(ctx context.Context, o hubload.Options, l *hubLoads, server *procstat.Process) (*exchangeReport, error) {
	g, err := newUsageReader(server)
	if err != nil {
		return nil, err
	}
	visits, err := hubload.NewSignIns(o, l.signInRate)
	if err != nil {
		return nil, err
	}
	if l.warmup > 0 {
		if _, err := visits.Run(ctx, l.warmup); err != nil {
			return nil, err
		}
	}
	r := &exchangeReport{Name: signIns, Unit: "sign-in", Clients: o.Window, Rate: l.signInRate}
	return r, p.measureWhile(g, r, l.duration, visits.Progress, func() (*hubload.Result, error) { return visits.Run(ctx, l.duration) })
}

// measureWhile measures the resource usage while do runs, and fills in the report.
func (p *program) measureWhile(g *usageReader, r *exchangeReport, d time.Duration, progress func() uint64, do func() (*hubload.Result, error)) error {
	before, err := g.read()
	if err != nil {
		return err
	}
	stop := p.startProgress(d, func() string { return fmt.Sprintf("%d arrived", progress()) })
	done, err := do()
	stop()
	if err != nil {
		return err
	}
	after, err := g.read()
	if err != nil {
		return err
	}
	resident, err := g.resident()
	r.fill(done, after.since(before), resident, g.server != nil)
	return err
}

// measureIdle reads the server's memory at each number of idle connections.
func (p *program) measureIdle(ctx context.Context, o hubload.Options, l *hubLoads, server *procstat.Process) (*idleReport, error) {
	r := &idleReport{}
	var err error
	if r.Before, err = settledMemory(ctx, server); err != nil {
		return nil, err
	}
	load, err := hubload.New(o)
	if err != nil {
		return nil, err
	}
	defer load.Close()
	for _, n := range l.counts {
		p.progress("%d connections ...", n)
		began := time.Now()
		had := load.Clients()
		refusal := load.Grow(ctx, n)
		took := time.Since(began)
		if load.Clients() > had {
			step, err := memoryAfterRest(ctx, load, l.rest, server)
			if err != nil {
				return nil, err
			}
			step.PerSecond = ratio(float64(load.Clients()-had), took.Seconds())
			r.Steps = append(r.Steps, step)
		}
		if refusal != nil {
			return nil, refusal
		}
	}
	first, last := r.Steps[0], r.Steps[len(r.Steps)-1]
	r.PerConnection = ratio(float64(last.Resident)-float64(first.Resident), float64(last.Connections-first.Connections))
	return r, nil
}

// memoryAfterRest returns the server's memory after the connections have been idle for rest.
func memoryAfterRest(ctx context.Context, load *hubload.Load, rest time.Duration, server *procstat.Process) (idleStep, error) {
	t := time.NewTimer(rest)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return idleStep{}, ctx.Err()
	case <-t.C:
	}
	resident, err := settledMemory(ctx, server)
	if gone := load.TakeFailure(); gone != nil {
		err = errors.Join(err, gone)
	}
	return idleStep{Connections: load.Clients(), Resident: resident}, err
}
