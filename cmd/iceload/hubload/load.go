package hubload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	gorilla "github.com/gorilla/websocket"

	"icebox/cmd/iceload/quantile"
)

// Load is a number of clients that have signed in. Only Progress is safe for concurrent use.
type Load struct {
	dialer     *dialer
	namePrefix string // of the clients' names
	clients    []*client
	paired     int // number of clients that have a peer
	readers    sync.WaitGroup
	closing    atomic.Bool
	base       time.Time

	received  atomic.Uint64 // messages sent at countFrom or later
	countFrom atomic.Int64  // messages sent earlier do not count; ns since base, 0 while none count

	mu           sync.Mutex
	latency      quantile.Histogram
	failure      error // first failure since takeFailures
	failureCount uint64
}

// New returns a Load that has no clients yet.
func New(o Options) (*Load, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Load{dialer: newDialer(&o), namePrefix: newNamePrefix("load"), base: time.Now()}, nil
}

// newNamePrefix returns a prefix that no earlier run has used, because a server may reserve a name
// for a while after its client has left.
func newNamePrefix(role string) string { return fmt.Sprintf("%s-%08x", role, rand.Uint32()) }

// Clients returns how many clients have signed in.
func (l *Load) Clients() int { return len(l.clients) }

// Grow signs clients in until there are n. If the server refuses one, Grow stops and keeps those
// that have signed in.
func (l *Load) Grow(ctx context.Context, n int) error {
	if n > MaxClients {
		return fmt.Errorf("%d clients are more than %d", n, MaxClients)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		workers sync.WaitGroup
		mu      sync.Mutex
		refusal error
		next    = len(l.clients)
	)
	nextIndex := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		next++
		return next - 1, next <= n && refusal == nil
	}
	for range min(l.dialer.opts.Window, n-len(l.clients)) {
		workers.Go(func() {
			for i, ok := nextIndex(); ok; i, ok = nextIndex() {
				c, err := l.dialer.signIn(ctx, fmt.Sprintf("%s-%d", l.namePrefix, i))
				mu.Lock()
				if err == nil {
					l.clients = append(l.clients, c)
				} else if refusal == nil {
					refusal = err
				}
				mu.Unlock()
				if err == nil {
					l.readers.Go(func() { l.readMessages(c) })
				}
			}
		})
	}
	workers.Wait()
	if refusal != nil {
		return fmt.Errorf("only %d of %d clients could sign in: %w", len(l.clients), n, refusal)
	}
	return ctx.Err()
}

// Close closes all connections and waits for the goroutines that read from them.
func (l *Load) Close() {
	l.closing.Store(true)
	for _, c := range l.clients {
		_ = c.sendGoodbye(l.dialer.codec)
		_ = c.ws.Close()
	}
	l.readers.Wait()
	l.clients, l.paired = nil, 0
}

// readMessages reads the messages of one client until its connection ends.
func (l *Load) readMessages(c *client) {
	_ = c.ws.SetReadDeadline(time.Time{})
	buffer := make([]byte, 0, 512)
	for {
		_, r, err := c.ws.NextReader()
		if err == nil {
			buffer, err = readAll(buffer[:0], r)
		}
		if err != nil {
			if !l.closing.Load() {
				l.recordFailure(fmt.Errorf("%s lost its connection: %w", c.name, err))
			}
			return
		}
		l.countMessage(c, buffer, time.Since(l.base))
	}
}

// countMessage counts one message that c received at now, which is relative to base.
func (l *Load) countMessage(c *client, text []byte, now time.Duration) {
	if n := sequenceNumber(text); n > 0 {
		c.lastReceivedSeq.Store(n)
	}
	sent, err := readTimestamp(text)
	if err != nil {
		if isRefusal(text) {
			l.recordFailure(refusalError(text))
		}
		return
	}
	select {
	case c.messageArrived <- struct{}{}:
	default:
	}
	if from := l.countFrom.Load(); from == 0 || int64(sent) < from {
		return
	}
	l.received.Add(1)
	l.mu.Lock()
	l.latency.Record(now - time.Duration(sent))
	l.mu.Unlock()
}

// recordFailure counts a failure and keeps the first.
func (l *Load) recordFailure(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failureCount++
	if l.failure == nil {
		l.failure = err
	}
}

// takeFailures returns how many failures there were since the last call, and the first of them.
func (l *Load) takeFailures() (count uint64, first error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count, first = l.failureCount, l.failure
	l.failureCount, l.failure = 0, nil
	return count, first
}

var errNoPair = errors.New("a load needs at least two clients")

// pairClients pairs all clients. In each pair it sends an offer and an answer, which the protocols
// require before candidates.
func (l *Load) pairClients(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	for ; l.paired+1 < len(l.clients); l.paired += 2 {
		a, b := l.clients[l.paired], l.clients[l.paired+1]
		a.peer, b.peer = b, a
		if err := l.sendAndAwait(ctx, a, "offer"); err != nil {
			return err
		}
		if err := l.sendAndAwait(ctx, b, "answer"); err != nil {
			return err
		}
	}
	if l.paired == 0 {
		return errNoPair
	}
	return nil
}

// sendAndAwait sends a message from c to its peer and waits until it has arrived.
func (l *Load) sendAndAwait(ctx context.Context, c *client, kind string) error {
	text, _ := payload(Offer, MinSize)
	_ = c.ws.SetWriteDeadline(time.Now().Add(replyTimeout))
	if err := c.ws.WriteMessage(gorilla.TextMessage, l.dialer.codec.appendMessage(nil, kind, c, text)); err != nil {
		return fmt.Errorf("send an %s: %w", kind, err)
	}
	select {
	case <-c.peer.messageArrived:
		return nil
	case <-ctx.Done():
		_, err := l.takeFailures()
		return fmt.Errorf("%s got no %s from %s: %w", c.peer.name, kind, c.name, errors.Join(ctx.Err(), err))
	}
}

// TakeFailure returns the first failure since the last call, and forgets all of them.
func (l *Load) TakeFailure() error {
	_, err := l.takeFailures()
	return err
}
