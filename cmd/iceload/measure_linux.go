package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"icebox/cmd/iceload/generator"
	"icebox/cmd/iceload/procstat"
)

// usageReader reads the resource usage of the server, of this process and of the host.
type usageReader struct {
	server    *procstat.Process // nil if it is not measured
	generator *procstat.Process
}

func newUsageReader(server *procstat.Process) (*usageReader, error) {
	own, err := procstat.Open(os.Getpid())
	return &usageReader{server, own}, err
}

// usage is the resource usage so far, or between two readings if since returned it.
type usage struct {
	at                time.Time
	server, generator procstat.Usage
	host              procstat.Host
	// Datagrams dropped at the sockets of the server, and of this process.
	serverDrops, generatorDrops uint64
}

func (g *usageReader) read() (u usage, err error) {
	u.at = time.Now()
	if u.generator, err = g.generator.Usage(); err != nil {
		return u, err
	}
	if u.generatorDrops, _, err = g.generator.Drops(); err != nil {
		return u, err
	}
	if u.host, err = procstat.ReadHost(); err != nil || g.server == nil {
		return u, err
	}
	if u.serverDrops, _, err = g.server.Drops(); err != nil {
		return u, err
	}
	u.server, err = g.server.Usage()
	return u, err
}

// since returns the usage between two readings.
func (u usage) since(earlier usage) usage {
	return usage{
		at:        u.at,
		server:    u.server.Sub(earlier.server),
		generator: u.generator.Sub(earlier.generator),
		host:      u.host.Sub(earlier.host),

		serverDrops:    u.serverDrops - min(u.serverDrops, earlier.serverDrops), // less than before if sockets were closed
		generatorDrops: u.generatorDrops - min(u.generatorDrops, earlier.generatorDrops),
	}
}

// resident returns the server's resident memory in bytes, or 0 if the server is not measured.
func (g *usageReader) resident() (uint64, error) {
	if g.server == nil {
		return 0, nil
	}
	return g.server.Resident()
}

// trafficPlan describes one run of `iceload turn`.
type trafficPlan struct {
	options          generator.Options
	warmup, duration time.Duration
}

// progressInterval is how often a long run prints its progress.
const progressInterval = 2 * time.Second

// measureTraffic runs a plan and measures the server, whose process may be nil.
func (p *program) measureTraffic(ctx context.Context, plan trafficPlan, server *procstat.Process) (r *turnReport, err error) {
	g, err := newUsageReader(server)
	if err != nil {
		return nil, err
	}
	r = newTurnReport(plan)
	if r.memory[0], err = g.resident(); err != nil {
		return nil, err
	}
	load, err := generator.New(plan.options)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, load.Close()) }()
	defer func() { err = errors.Join(err, load.TearDown(ctx)) }()

	setUp, err := load.SetUp(ctx, plan.options.Allocations)
	if err != nil {
		return nil, err
	}
	r.fillSetUp(setUp)
	if r.memory[1], err = g.resident(); err != nil {
		return nil, err
	}
	if plan.warmup > 0 {
		if _, err = load.RunTraffic(ctx, plan.warmup); err != nil {
			return nil, err
		}
	}
	traffic, used, err := p.measurePhase(ctx, load, plan.duration, g)
	if err != nil {
		return nil, err
	}
	if r.memory[2], err = g.resident(); err != nil {
		return nil, err
	}
	r.fillTraffic(traffic, used, server != nil)
	return r, ctx.Err()
}

// measurePhase runs and measures one phase of traffic.
func (p *program) measurePhase(ctx context.Context, load *generator.Load, d time.Duration, g *usageReader) (*generator.TrafficResult, usage, error) {
	before, err := g.read()
	if err != nil {
		return nil, usage{}, err
	}
	stop := p.startProgress(d, func() string {
		sent, received := load.Progress()
		return fmt.Sprintf("%d packets sent, %d arrived", sent, received)
	})
	traffic, err := load.RunTraffic(ctx, d)
	stop()
	if err != nil {
		return nil, usage{}, err
	}
	after, err := g.read()
	return traffic, after.since(before), err
}

// startProgress prints the result of line every progressInterval until stop is called. It prints
// nothing if d is short.
func (p *program) startProgress(d time.Duration, line func() string) (stop func()) {
	if p.quiet || d <= 2*progressInterval {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		start := time.Now()
		for {
			select {
			case <-quit:
				return
			case now := <-ticker.C:
				p.progress("%.0f of %.0f s: %s", now.Sub(start).Seconds(), d.Seconds(), line())
			}
		}
	}()
	return func() { close(quit); <-done }
}
