package generator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"icebox/cmd/iceload/link"
	"icebox/cmd/iceload/quantile"
	"icebox/cmd/iceload/tally"
	"icebox/cmd/iceload/turnclient"
	"icebox/turnserver/wire"
)

const (
	channel = wire.MinChannel
	// overhead is more than what any server wraps a payload in.
	overhead = 128
	// maxMoves is how often a client looks for an address that the server does not remember.
	maxMoves = 5
	// controlWait bounds one wait for an answer, so that an interrupt is seen.
	controlWait = 100 * time.Millisecond
)

// worker is one thread with some of the clients, which it numbers from 0.
type worker struct {
	o        Options // with Allocations, Rate and so on of this worker alone
	first    int     // the number of its client 0 among all
	link     link.Link
	peers    *link.Peers
	sessions []*turnclient.Session
	runner   *turnclient.Runner
	allotted int // clients that were told to set up
	made     int // and did
	failures failures
	later    []func() error // to be done when nothing is being read
	// handle is fromServer, made a value once: it would be allocated each time else.
	handle link.Handler

	// Of one phase of traffic.
	run      uint32
	flows    [ways][]tally.Flow
	latency  [ways]quantile.Histogram
	lateness quantile.Histogram
	slots    []slot
	turn     int
	headers  [][]byte // of each client's Send indications
	counts   counts
	elapsed  time.Duration
	progress progress
	renewed  time.Time // when the next allocation is refreshed
	renewals int

	// Of churning.
	index  int // of this worker
	met    int // peers so far
	cycles *quantile.Histogram
}

// slot is whose turn it is.
type slot struct {
	client int
	way    int
}

func openWorker(o Options, first int) (*worker, error) {
	w := &worker{o: o, first: first, failures: failures{}}
	var err error
	if w.link, err = openLink(o, first, w.segment()); err != nil {
		return nil, fmt.Errorf("open clients: %w", err)
	}
	w.peers, err = link.OpenPeers(link.PeersOptions{
		Address: o.PeerAddress, Count: o.Peers, Clients: o.Allocations,
		PacketSize: o.Size, Segment: o.Segment, Coalesce: o.Coalesce,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open peers: %w", err), w.link.Close())
	}
	w.makeSessions(func(client int) netip.AddrPort { return w.peers.Addr(w.peers.Of(client)) })
	return w, nil
}

// makeSessions makes the clients, with the peers that peer tells.
func (w *worker) makeSessions(peer func(client int) netip.AddrPort) {
	w.handle = w.fromServer
	w.sessions = make([]*turnclient.Session, w.o.Allocations)
	for i := range w.sessions {
		w.sessions[i] = &turnclient.Session{Account: w.o.Account(w.first + i), Channel: channel, Peer: peer(i)}
	}
	w.runner = turnclient.NewRunner(turnclient.RunnerOptions{
		Sessions: w.sessions,
		Window:   w.o.Window,
		Reliable: w.o.Transport.Stream(),
		Send: func(session int, request []byte) {
			copy(w.link.Message(session, len(request)), request)
		},
	})
}

// setUp makes allocations of the clients whose number among all is below limit.
func (w *worker) setUp(ctx context.Context, limit int) error {
	for ; w.allotted < len(w.sessions) && w.first+w.allotted < limit; w.allotted++ {
		w.allot(w.allotted, maxMoves)
	}
	return w.control(ctx)
}

// allot has a client make its allocation. A server may remember an allocation of an
// earlier client with the same address and port; then the client moves to another (RFC
// 8656 section 7.4), at most moves times.
func (w *worker) allot(client, moves int) {
	script := []turnclient.Step{turnclient.Allocate, turnclient.Permission, turnclient.Channel}
	if w.o.Indications {
		script = script[:2]
	}
	w.runner.Start(client, time.Now(), script, func(err error) {
		var refused *turnclient.CodeError
		switch {
		case err == nil:
			w.made++
			w.peers.Connect(client, w.sessions[client].Relayed)
		case moves > 0 && errors.As(err, &refused) && refused.Step == turnclient.Allocate && refused.Code == wire.AllocationMismatch:
			w.later = append(w.later, func() error {
				w.sessions[client].Reset()
				defer w.allot(client, moves-1)
				return w.link.Renew(client)
			})
		default:
			w.failures.add(err)
		}
	})
}

// tearDown releases all allocations.
func (w *worker) tearDown(ctx context.Context) error {
	for i, s := range w.sessions {
		if s.Relayed.IsValid() && !w.runner.Busy(i) {
			w.runner.Start(i, time.Now(), []turnclient.Step{turnclient.Release}, func(err error) {
				if err != nil {
					w.failures.add(err)
				}
				s.Reset()
			})
		}
	}
	return w.control(ctx)
}

// control waits until all scripts have ended.
func (w *worker) control(ctx context.Context) error {
	for !w.runner.Idle() || len(w.later) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.exchange(); err != nil {
			return err
		}
		if err := w.catchUp(); err != nil {
			return err
		}
	}
	return nil
}

// catchUp does what could not be done while messages were being read.
func (w *worker) catchUp() error {
	w.link.Flush()
	for len(w.later) > 0 {
		do := w.later[0]
		w.later = w.later[1:]
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// exchange sends requests and digests some answers.
func (w *worker) exchange() error {
	now := time.Now()
	wait := controlWait
	if next := w.runner.Tick(now); !next.IsZero() {
		wait = min(wait, next.Sub(now))
	}
	w.link.Flush()
	if err := w.link.Wait(max(wait, 0)); err != nil {
		return err
	}
	return w.link.Receive(w.handle)
}

func (w *worker) close() error {
	var errs []error
	if w.link != nil {
		errs = append(errs, w.link.Close())
	}
	if w.peers != nil {
		errs = append(errs, w.peers.Close())
	}
	return errors.Join(errs...)
}

// order is whose turn it is, from slot to slot: each client in each direction once, in
// a random order that is the same every time.
func (w *worker) order() []slot {
	var slots []slot
	rnd := rand.New(rand.NewPCG(uint64(w.first), 1)) //nolint:gosec // an order, not a secret
	for _, client := range rnd.Perm(w.o.Allocations) {
		if w.o.Direction != Down {
			slots = append(slots, slot{client, up})
		}
		if w.o.Direction != Up {
			slots = append(slots, slot{client, down})
		}
	}
	return slots
}
