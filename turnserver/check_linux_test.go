package turnserver

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"icebox/turnserver/packetio"
	"icebox/turnserver/wire"
)

// blockingLog is a writer that blocks until it is released.
type blockingLog struct{ inside, release chan struct{} }

func (b *blockingLog) Write(line []byte) (int, error) {
	b.inside <- struct{}{}
	<-b.release
	return len(line), nil
}

// Check passes while nothing happens, and fails while the loop of a client is stuck, here because the log blocks.
func TestCheck(t *testing.T) {
	log := &blockingLog{make(chan struct{}), make(chan struct{})}
	ts := serve(t, func(o *Options, _ *Limits) { o.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	check := func(limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		return ts.Check(ctx)
	}
	c := ts.dial(t, "udp4")
	c.allocate(0)
	if err := check(patience); err != nil {
		t.Errorf("before: %v", err)
	}
	c.write(c.message(wire.Refresh, attr(wire.AttrLifetime, 0, 0, 0, 0))) // the end of a session is logged
	<-log.inside
	if err := check(10 * time.Millisecond); !errors.Is(err, packetio.ErrStuck) {
		t.Errorf("while the log blocks: %v", err)
	}
	close(log.release)
	c.read()
	if err := check(patience); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
