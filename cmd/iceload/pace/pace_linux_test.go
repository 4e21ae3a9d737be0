package pace

import (
	"testing"
	"time"
)

func TestScheduleHasNoDrift(t *testing.T) {
	cases := map[string]struct{ packets, rate int }{
		"one per second":        {1, 1},
		"single packets":        {1, 50_000},
		"bursts":                {8, 100_000},
		"inexact interval":      {3, 70_001},
		"many packets per slot": {64, 2_000_000},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			s := New(start, c.packets, c.rate)
			var sent int
			// The steps are not a multiple of the interval.
			for at := time.Duration(0); at < 3*time.Second; at += 317 * time.Microsecond {
				for {
					n, late := s.TakeDueSlots(start.Add(at), 10)
					sent += n * c.packets
					if n > 0 && (late < 0 || late > 318*time.Microsecond) {
						t.Fatalf("a slot is %v late", late)
					}
					if n < 10 {
						break
					}
				}
				ideal := at.Seconds()*float64(c.rate) + float64(c.packets)
				if float64(sent) > ideal+0.001 || float64(sent) < ideal-float64(c.packets)-0.001 {
					t.Fatalf("%d packets after %v, want about %.1f", sent, at, ideal)
				}
				if !s.NextDue().After(start.Add(at)) {
					t.Fatalf("at %v the next slot is already due", at)
				}
			}
			if s.SkippedPackets() != 0 {
				t.Errorf("%d packets skipped", s.SkippedPackets())
			}
		})
	}
}

func TestScheduleSkipsOldSlots(t *testing.T) {
	start := time.Now()
	s := New(start, 2, 1000)
	const limit = 1 << 20
	if n, _ := s.TakeDueSlots(start.Add(-time.Second), limit); n != 0 {
		t.Fatalf("%d slots were due before the start", n)
	}
	n, late := s.TakeDueSlots(start.Add(time.Second), limit)
	if n != 5 && n != 6 || late > MaxLateness {
		t.Errorf("after a pause of one second, %d slots were due, the first of them %v late", n, late)
	}
	if got := s.SkippedPackets() + 2*uint64(n); got != 1002 {
		t.Errorf("%d packets were sent or skipped, want 1002", got)
	}
	if n, _ := s.TakeDueSlots(start.Add(time.Second), limit); n != 0 {
		t.Errorf("%d slots were handed out twice", n)
	}
}

func TestSleeperNeverWakesEarly(t *testing.T) {
	s := NewSleeper()
	defer s.Release()
	for _, d := range []time.Duration{-time.Second, 0, 50 * time.Microsecond, 3 * time.Millisecond} {
		until := time.Now().Add(d)
		s.SleepUntil(until)
		if early := time.Until(until); early > 0 {
			t.Errorf("a sleep of %v ended %v early", d, early)
		}
	}
}
