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

// churnScript is one cycle: everything that a client does with an allocation.
var churnScript = []turnclient.Step{
	turnclient.Allocate, turnclient.CreatePermission, turnclient.BindChannel, turnclient.Refresh, turnclient.Release,
}

const (
	// discardPort (RFC 863) is the port of the peers. The peers need not exist, because the clients relay nothing.
	discardPort = 9
	// churnPeers is the number of addresses that the peers use in rotation, if the host has many.
	churnPeers = 1 << 20
)

// ChurnResult is the result of a churn.
type ChurnResult struct {
	Cycles   uint64 // completed ones
	Elapsed  time.Duration
	Cycle    quantile.Histogram // durations of the completed cycles
	Times    map[turnclient.Step]*quantile.Histogram
	Repeated uint64
	Failures []Failure
}

// Churn is a number of clients that create an allocation, send each kind of request once and
// release it. Then they start over as new clients, each with another address and another peer.
// Options.Allocations is how many clients do this at the same time.
type Churn struct {
	load   *Load
	cycles atomic.Uint64
}

// NewChurn opens the clients' sockets. It ignores the options about traffic, apart from validating
// them.
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

// Run runs cycles until ctx ends, d has passed or limit cycles have been completed, whichever comes
// first. Cycles that have started are completed.
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

// Progress returns how many cycles have been completed. It is safe for concurrent use.
func (c *Churn) Progress() uint64 { return c.cycles.Load() }

// Close closes all sockets.
func (c *Churn) Close() error { return c.load.Close() }

// runCycles runs cycles of all clients as long as more returns true.
func (w *worker) runCycles(more func() bool, count *atomic.Uint64) error {
	for client := range w.turnClients {
		w.startCycle(client, more, count)
	}
	return w.runScripts(context.Background())
}

// startCycle starts a cycle of a client. When it ends, the client starts the next one.
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

// nextPeer returns the peer for a client's next cycle. Each cycle has another peer, because independent clients have
// different peers too.
func (w *worker) nextPeer(int) netip.AddrPort {
	w.peersUsed++
	i := (w.peersUsed*w.o.Workers + w.index) % churnPeers
	return netip.AddrPortFrom(sockets.PeerAddr(w.o.PeerAddress, i), discardPort)
}

// openClients opens the clients of a worker. If segment is above 0, consecutive messages of that
// many bytes are sent as one.
func openClients(o Options, first, segment int) (sockets.Clients, error) {
	return sockets.OpenClients(sockets.ClientsOptions{
		Server: o.Server, Transport: o.Transport, TLS: o.TLS,
		Clients: o.Allocations, First: first,
		MessageSize: o.Size + overhead,
		OwnSockets:  o.OwnSockets, Coalesce: o.Coalesce, Segment: segment,
	})
}
