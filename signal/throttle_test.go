package signal

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClientAboveItsRateWaitsAndIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, Options{})
		w := connect(t, h, testProfile)
		warnings, start := 0, time.Now()
		send := func(size int) {
			wait, tooFast := w.client.CountMessage(size)
			sleep(wait)
			if tooFast {
				warnings++
			}
		}
		for range 100 + 30*10 {
			send(200)
		}
		if took := time.Since(start).Round(time.Second); took != 10*time.Second {
			t.Errorf("a burst of 100 messages and 300 more took %v, want 10s at 30 per second", took)
		}
		if warnings != 1 {
			t.Errorf("the client was told %d times, want once", warnings)
		}
		sleep(time.Minute)
		start = time.Now()
		for range 100 / 17 {
			send(256 << 10)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("a burst of 5 messages of 17 units each waited %v after a rest", took)
		}
		send(256 << 10)
		if took := time.Since(start); took == 0 {
			t.Error("a message above the burst did not wait: large messages count no more than small ones")
		}
	})
}
