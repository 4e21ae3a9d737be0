package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"icebox/turnserver/packetio"
)

// relayFake is a relay that is stuck until it is released.
type relayFake struct{ released chan struct{} }

func (r *relayFake) check(ctx context.Context) error {
	select {
	case <-r.released:
		return nil
	case <-ctx.Done():
		return packetio.ErrStuck
	}
}

// TestStuckRelayIsNotReady: a daemon whose relay is stuck is not ready, whether it serves or drains. A starting daemon has no relay yet.
func TestStuckRelayIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := &relayFake{make(chan struct{})}
		d := &Daemon{checkRelay: relay.check}
		if s := d.status(); s.Ready || s.Problem != "" {
			t.Errorf("while it starts: %+v", s)
		}
		d.ready.Store(true)
		began := time.Now()
		if s := d.status(); s.Ready || s.Problem != packetio.ErrStuck.Error() {
			t.Errorf("while the relay is stuck: %+v", s)
		}
		if took := time.Since(began); took != progressLimit {
			t.Errorf("the status took %v", took)
		}
		close(relay.released)
		if s := d.status(); !s.Ready || s.Problem != "" {
			t.Errorf("when the relay makes progress again: %+v", s)
		}
	})
}

// TestStuckRelayGetsNoPing: the service manager gets no ping while the relay is stuck, and one as soon as the relay makes progress
// again. The log has the reason.
func TestStuckRelayGetsNoPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		relay := &relayFake{make(chan struct{})}
		var log bytes.Buffer
		d := &Daemon{checkRelay: relay.check, log: slog.New(slog.NewTextHandler(&log, nil))}
		pings, ended := 0, make(chan struct{})
		go func() {
			defer close(ended)
			guard(ctx, 10*time.Second, d.awaitRelay, func() { pings++ })
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		if pings != 0 || strings.Count(log.String(), "the relay is stuck") != 1 {
			t.Errorf("%d pings in a minute; the log has\n%s", pings, &log)
		}
		close(relay.released)
		synctest.Wait()
		if pings == 0 {
			t.Error("no ping when the relay makes progress again")
		}
		cancel()
		<-ended
	})
}
