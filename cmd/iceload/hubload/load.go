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

// Load is a number of clients that are signed in. One goroutine may use it.
type Load struct {
	dialer     *dialer
	namePrefix string // of names
	clients    []*client
	paired     int // clients
	readers    sync.WaitGroup
	closing    atomic.Bool
	base       time.Time

	received  atomic.Uint64 // since from
	countFrom atomic.Int64  // when what counts was sent at the earliest, since base

	mu           sync.Mutex
	latency      quantile.Histogram
	failure      error // the first
	failureCount uint64
}

// New returns a Load without clients.
func New(o Options) (*Load, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Load{dialer: newDialer(&o), namePrefix: newNamePrefix("load"), base: time.Now()}, nil
}

// newPrefix is of names that no earlier run has used: a server may keep names for a while.
func newNamePrefix(what string) string { return fmt.Sprintf("%s-%08x", what, rand.Uint32()) }

// Clients is how many there are.
func (l *Load) Clients() int { return len(l.clients) }

// Grow signs clients in until there are n. When some are refused it stops, with those that there are.
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

// Close ends all connections and waits for what reads them.
func (l *Load) Close() {
	l.closing.Store(true)
	for _, c := range l.clients {
		_ = c.sendGoodbye(l.dialer.codec)
		_ = c.ws.Close()
	}
	l.readers.Wait()
	l.clients, l.paired = nil, 0
}

// read takes what one client is sent.
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

// fail notes that something went wrong.
func (l *Load) recordFailure(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failureCount++
	if l.failure == nil {
		l.failure = err
	}
}

// failures returns how many failures there were since it was called before, and the first.
func (l *Load) takeFailures() (count uint64, first error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count, first = l.failureCount, l.failure
	l.failureCount, l.failure = 0, nil
	return count, first
}

var errNoPair = errors.New("there are no two clients")

// pairUp makes pairs of all clients, as the protocols want before candidates: an offer, and an answer.
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

// introduce has c send something to its peer, and waits until it is there.
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

// Failure returns the first thing that went wrong since it was asked for before.
func (l *Load) TakeFailure() error {
	_, err := l.takeFailures()
	return err
}
