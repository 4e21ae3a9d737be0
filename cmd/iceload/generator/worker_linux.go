package generator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"icebox/cmd/iceload/quantile"
	"icebox/cmd/iceload/sockets"
	"icebox/cmd/iceload/tally"
	"icebox/cmd/iceload/turnclient"
	"icebox/turnserver/wire"
)

const (
	channel = wire.MinChannel
	// overhead is more bytes than any server adds to a payload.
	overhead = 128
	// maxMoves is how often a client changes its address because the server already has an
	// allocation for the one it uses.
	maxMoves = 5
	// controlWait limits one wait for responses, so that the worker notices an interrupt.
	controlWait = 100 * time.Millisecond
)

// worker is one thread with its share of the clients, which it numbers from 0.
type worker struct {
	o           Options // Allocations, Rate and so on are this worker's share
	first       int     // number of its client 0 among all clients
	clients     sockets.Clients
	peers       *sockets.Peers
	turnClients []*turnclient.Client
	runner      *turnclient.Runner
	started     int // number of clients that have started to set up
	made        int // number of allocations set up
	failures    failures
	deferred    []func() error // run when no message is being handled
	// messageHandler is handleServerMessage as a func value, which would be allocated again at each
	// use otherwise.
	messageHandler sockets.MessageHandler

	// For the current phase of traffic.
	runID       uint32
	flows       [numDirs][]tally.Flow
	latency     [numDirs]quantile.Histogram
	lateness    quantile.Histogram
	sendOrder   []flowKey
	nextInOrder int
	headers     [][]byte // the bytes before the payload in each client's Send indications
	counts      counts
	elapsed     time.Duration
	progress    progress
	nextRefresh time.Time // when the next allocation is due for a refresh
	refreshes   int

	// For Churn.
	index      int // of this worker among all
	peersUsed  int // number of peers used so far
	cycleTimes *quantile.Histogram
}

// flowKey identifies a flow: a client and a direction.
type flowKey struct {
	client int
	dir    int
}

func openWorker(o Options, first int) (*worker, error) {
	w := &worker{o: o, first: first, failures: failures{}}
	var err error
	if w.clients, err = openClients(o, first, w.segmentSize()); err != nil {
		return nil, fmt.Errorf("open clients: %w", err)
	}
	w.peers, err = sockets.OpenPeers(sockets.PeersOptions{
		FirstAddr: o.PeerAddress, Count: o.Peers, Clients: o.Allocations,
		PacketSize: o.Size, Segment: o.Segment, Coalesce: o.Coalesce,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open peers: %w", err), w.clients.Close())
	}
	w.makeTURNClients(func(client int) netip.AddrPort { return w.peers.Addr(w.peers.PeerOf(client)) })
	return w, nil
}

// makeTURNClients creates the TURN clients; peer returns the peer of each.
func (w *worker) makeTURNClients(peer func(client int) netip.AddrPort) {
	w.messageHandler = w.handleServerMessage
	w.turnClients = make([]*turnclient.Client, w.o.Allocations)
	for i := range w.turnClients {
		w.turnClients[i] = &turnclient.Client{Account: w.o.Account(w.first + i), Channel: channel, Peer: peer(i)}
	}
	w.runner = turnclient.NewRunner(turnclient.RunnerOptions{
		Clients:  w.turnClients,
		Window:   w.o.Window,
		Reliable: w.o.Transport.Stream(),
		Send: func(client int, request []byte) {
			copy(w.clients.QueueMessage(client, len(request)), request)
		},
	})
}

// setUpAllocations creates the allocations of the clients whose number among all is below limit.
func (w *worker) setUpAllocations(ctx context.Context, limit int) error {
	for ; w.started < len(w.turnClients) && w.first+w.started < limit; w.started++ {
		w.startAllocation(w.started, maxMoves)
	}
	return w.runScripts(ctx)
}

// startAllocation lets a client create its allocation. The server may still have an allocation of
// an earlier client with the same address and port. Then the client moves to another address (RFC
// 8656 section 7.4), at most moves times.
func (w *worker) startAllocation(client, moves int) {
	script := []turnclient.Step{turnclient.Allocate, turnclient.CreatePermission, turnclient.BindChannel}
	if w.o.Indications {
		script = script[:2]
	}
	w.runner.Start(client, time.Now(), script, func(err error) {
		var refused *turnclient.CodeError
		switch {
		case err == nil:
			w.made++
			w.peers.SetRelayedAddr(client, w.turnClients[client].Relayed)
		case moves > 0 && errors.As(err, &refused) && refused.Step == turnclient.Allocate && refused.Code == wire.AllocationMismatch:
			w.deferred = append(w.deferred, func() error {
				w.turnClients[client].Reset()
				defer w.startAllocation(client, moves-1)
				return w.clients.Reconnect(client)
			})
		default:
			w.failures.add(err)
		}
	})
}

// tearDown releases all allocations.
func (w *worker) tearDown(ctx context.Context) error {
	for i, s := range w.turnClients {
		if s.Relayed.IsValid() && !w.runner.Busy(i) {
			w.runner.Start(i, time.Now(), []turnclient.Step{turnclient.Release}, func(err error) {
				if err != nil {
					w.failures.add(err)
				}
				s.Reset()
			})
		}
	}
	return w.runScripts(ctx)
}

// runScripts exchanges messages until all scripts have ended.
func (w *worker) runScripts(ctx context.Context) error {
	for !w.runner.Idle() || len(w.deferred) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.exchangeMessages(); err != nil {
			return err
		}
		if err := w.runDeferred(); err != nil {
			return err
		}
	}
	return nil
}

// runDeferred runs the functions that could not run while messages were being handled.
func (w *worker) runDeferred() error {
	w.clients.Flush()
	for len(w.deferred) > 0 {
		do := w.deferred[0]
		w.deferred = w.deferred[1:]
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// exchangeMessages sends requests and handles the responses that arrive within one wait.
func (w *worker) exchangeMessages() error {
	now := time.Now()
	wait := controlWait
	if next := w.runner.Tick(now); !next.IsZero() {
		wait = min(wait, next.Sub(now))
	}
	w.clients.Flush()
	if err := w.clients.Wait(max(wait, 0)); err != nil {
		return err
	}
	return w.clients.Receive(w.messageHandler)
}

func (w *worker) close() error {
	var errs []error
	if w.clients != nil {
		errs = append(errs, w.clients.Close())
	}
	if w.peers != nil {
		errs = append(errs, w.peers.Close())
	}
	return errors.Join(errs...)
}

// newSendOrder returns the order in which flows send: each flow once, in a random order that is the
// same in every run.
func (w *worker) newSendOrder() []flowKey {
	var order []flowKey
	rnd := rand.New(rand.NewPCG(uint64(w.first), 1)) //nolint:gosec // the order need not be unpredictable
	for _, client := range rnd.Perm(w.o.Allocations) {
		if w.o.Direction != Down {
			order = append(order, flowKey{client, up})
		}
		if w.o.Direction != Up {
			order = append(order, flowKey{client, down})
		}
	}
	return order
}
