package generator

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"icebox/cmd/iceload/quantile"
	"icebox/cmd/iceload/sockets"
	"icebox/cmd/iceload/turnclient"
)

// cycle is what a client does from its first request to its last.
var churnScript = []turnclient.Step{
	turnclient.Allocate, turnclient.CreatePermission, turnclient.BindChannel, turnclient.Refresh, turnclient.Release,
}

const (
	// discard is the port of the peers of clients that relay nothing (RFC 863).
	discardPort = 9
	// strangePeers is how many addresses such peers have in turn, where there are many.
	churnPeers = 1 << 20
)

// Churned is what making and releasing allocations came to.
type ChurnResult struct {
	Cycles   uint64 // that were completed
	Elapsed  time.Duration
	Cycle    quantile.Histogram // how long each took
	Times    map[turnclient.Step]*quantile.Histogram
	Repeated uint64
	Failures []Failure
}

// Churn is a number of clients that make an allocation, use each kind of request
// once, release it and begin anew as strangers, each at another address and with another
// peer. As many
// are at it at a time as the options have allocations.
type Churn struct {
	load   *Load
	cycles atomic.Uint64
}

// NewChurn opens the sockets of a churn. Of the options what concerns traffic is not used.
func NewChurn(o Options) (*Churn, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := &Churn{load: &Load{o: o}}
	for i := range o.Workers {
		part := o
		first := shareStart(o.Allocations, i, o.Workers)
		part.Allocations = shareStart(o.Allocations, i+1, o.Workers) - first
		part.Window = part.Allocations
		w := &worker{o: part, index: i, first: first, failures: failures{}}
		var err error
		if w.clients, err = openClients(part, first, 0); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		w.makeTURNClients(w.nextPeer)
		c.load.workers = append(c.load.workers, w)
	}
	return c, nil
}

// Run churns until ctx ends, d has passed or limit cycles have been completed,
// whichever comes first; cycles under way are completed.
func (c *Churn) Run(ctx context.Context, d time.Duration, limit uint64) (*ChurnResult, error) {
	start := time.Now()
	c.cycles.Store(0)
	durations := make([]quantile.Histogram, len(c.load.workers))
	for i, w := range c.load.workers {
		w.cycleTimes = &durations[i]
	}
	err := c.load.onEachWorker(func(w *worker) error {
		return w.runCycles(func() bool {
			return ctx.Err() == nil && time.Since(start) < d && c.cycles.Load() < limit
		}, &c.cycles)
	})
	r := &ChurnResult{Cycles: c.cycles.Load(), Elapsed: time.Since(start)}
	for i, w := range c.load.workers {
		r.Cycle.Merge(&durations[i])
		r.Repeated += w.runner.Repeated
	}
	r.Times = c.load.requestTimes()
	r.Failures = c.load.takeFailures()
	return r, err
}

// Progress is how many cycles were completed. Any goroutine may call it.
func (c *Churn) Progress() uint64 { return c.cycles.Load() }

// Close closes all sockets.
func (c *Churn) Close() error { return c.load.Close() }

// churn takes all clients through cycles as long as more says so.
func (w *worker) runCycles(more func() bool, count *atomic.Uint64) error {
	for client := range w.turnClients {
		w.startCycle(client, more, count)
	}
	return w.runScripts(context.Background())
}

// spin begins a cycle of a client, after which it begins the next.
func (w *worker) startCycle(client int, more func() bool, count *atomic.Uint64) {
	start := time.Now()
	w.runner.Start(client, start, churnScript, func(err error) {
		if err != nil {
			w.failures.add(err)
		} else {
			w.cycleTimes.Record(time.Since(start))
			count.Add(1)
		}
		w.deferred = append(w.deferred, func() error {
			w.turnClients[client].Reset()
			w.turnClients[client].Peer = w.nextPeer(client)
			err := w.clients.Reconnect(client)
			if err == nil && more() {
				w.startCycle(client, more, count)
			}
			return err
		})
	})
}

// nextPeer is a peer for the next cycle of a client: another each time, as clients are.
func (w *worker) nextPeer(int) netip.AddrPort {
	w.peersUsed++
	i := (w.peersUsed*w.o.Workers + w.index) % churnPeers
	return netip.AddrPortFrom(sockets.PeerAddr(w.o.PeerAddress, i), discardPort)
}

// openLink opens the clients of a worker, whose runs of messages of segment bytes leave
// as one if that is above 0.
func openClients(o Options, first, segment int) (sockets.Clients, error) {
	return sockets.OpenClients(sockets.ClientsOptions{
		Server: o.Server, Transport: o.Transport, TLS: o.TLS,
		Clients: o.Allocations, First: first,
		MessageSize: o.Size + overhead,
		OwnSockets:  o.OwnSockets, Coalesce: o.Coalesce, Segment: segment,
	})
}
