package daemon

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestGuard: the service manager gets two pings in each interval, and none from a daemon that hangs.
func TestGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		pings, began := 0, time.Now()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			guard(ctx, 10*time.Second, func(ctx context.Context) error {
				if time.Since(began) >= time.Minute {
					<-ctx.Done()
				}
				return ctx.Err()
			}, func() { pings++ })
		}()
		time.Sleep(time.Minute - time.Nanosecond)
		synctest.Wait()
		if pings != 12 { // at 0, 5, ... 55 s
			t.Errorf("%d pings in a minute, want 12", pings)
		}
		time.Sleep(time.Minute)
		cancel()
		<-ended
		if pings != 12 {
			t.Errorf("%d pings from a daemon that hangs", pings-12)
		}
	})
}
