package hubload

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	gorilla "github.com/gorilla/websocket"

	"icebox/cmd/iceload/pace"
	"icebox/cmd/iceload/quantile"
)

// tick is the shortest time between two sends. Messages that become due in between are sent
// together.
const tick = 200 * time.Microsecond

// Result is the result of an exchange of messages, or of sign-ins.
type Result struct {
	Elapsed  time.Duration
	Sent     uint64
	Received uint64
	Skipped  uint64 // not sent, because the generator was too late
	Latency  *quantile.Histogram
	Lateness quantile.Histogram // delays between the due times of messages and the times at which they were sent
	Failed   uint64
	Failure  error // first of them
}

// Run lets the clients exchange messages for d.
func (l *Load) Run(ctx context.Context, e Exchange, d time.Duration) (*Result, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	if err := l.pairClients(ctx); err != nil {
		return nil, err
	}
	_, _ = l.takeFailures() // forget earlier failures
	l.mu.Lock()
	l.latency.Reset()
	l.mu.Unlock()
	l.received.Store(0)
	start := time.Now()
	l.countFrom.Store(int64(start.Sub(l.base)))
	r := &Result{}
	err := l.sendMessages(ctx, e, start, d, r)
	r.Elapsed = time.Since(start)
	l.awaitArrivals(ctx, r.Sent)
	l.countFrom.Store(0)
	r.Received = l.received.Load()
	l.mu.Lock()
	latency := l.latency
	l.mu.Unlock()
	r.Latency = &latency
	r.Failed, r.Failure = l.takeFailures()
	if err == nil && r.Received == 0 {
		err = fmt.Errorf("nothing arrived: %w", r.Failure)
	}
	return r, err
}

// sendMessages sends messages when they are due, from each client in turn.
func (l *Load) sendMessages(ctx context.Context, e Exchange, start time.Time, d time.Duration, r *Result) error {
	text, timestamp := payload(e.Kind, e.Size)
	schedule := pace.New(start, 1, e.Rate)
	sleeper := pace.NewSleeper()
	defer sleeper.Release()
	var frame []byte
	end := start.Add(d)
	for now := time.Now(); now.Before(end) && ctx.Err() == nil; now = time.Now() {
		due, late := schedule.TakeDueSlots(now, l.paired)
		if due == 0 {
			sleeper.SleepUntil(latest(now.Add(tick), schedule.NextDue()))
			continue
		}
		r.Lateness.Record(late)
		for range due {
			c := l.clients[r.Sent%uint64(l.paired)]
			putTimestamp(text[timestamp:], uint64(time.Since(l.base)))
			frame = l.dialer.codec.appendMessage(frame[:0], string(e.Kind), c, text)
			_ = c.ws.SetWriteDeadline(now.Add(replyTimeout))
			if err := c.ws.WriteMessage(gorilla.TextMessage, frame); err != nil {
				return fmt.Errorf("send a message: %w", err)
			}
			r.Sent++
		}
	}
	r.Skipped = schedule.SkippedPackets()
	return ctx.Err()
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// arrivalTimeout is how long Run waits for messages after the last was sent.
const arrivalTimeout = 2 * time.Second

// awaitArrivals waits until all messages have arrived.
func (l *Load) awaitArrivals(ctx context.Context, sent uint64) {
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for end := time.Now().Add(arrivalTimeout); l.received.Load() < sent && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Progress returns how many messages have arrived. It is safe for concurrent use.
func (l *Load) Progress() uint64 { return l.received.Load() }

// readAll appends everything that r returns to b. Unlike io.ReadAll, it reuses the buffer.
func readAll(b []byte, r io.Reader) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

func isRefusal(text []byte) bool { return bytes.Contains(text, errorType) }
