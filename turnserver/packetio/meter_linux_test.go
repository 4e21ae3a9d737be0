package packetio

import (
	"testing"
	"time"
)

// A loop is overloaded after three windows of hard work on end, and idle enough when it and the
// other have done little for a quarter of a second.
func TestMeter(t *testing.T) {
	const ms = time.Millisecond
	type step struct {
		from, to time.Duration // a round
		other    int64         // load of the other, read at the end of the round; -1: it sleeps
		judged   bool
		hard     bool
		fits     bool
	}
	for name, steps := range map[string][]step{
		"hard work":     {{0, 8 * ms, -1, true, false, false}, {8 * ms, 16 * ms, -1, true, false, false}, {16 * ms, 24 * ms, -1, true, true, false}},
		"in short":      {{0, 3 * ms, -1, false, false, false}, {3 * ms, 7 * ms, -1, false, false, false}, {7 * ms, 10 * ms, -1, true, false, false}},
		"with a breath": {{0, 16 * ms, -1, true, false, false}, {22 * ms, 26 * ms, -1, true, false, false}, {26 * ms, 42 * ms, -1, true, false, false}, {42 * ms, 58 * ms, -1, true, false, false}},
		"after a sleep": {{400 * ms, 401 * ms, -1, true, false, true}},
		"not for long":  {{100 * ms, 101 * ms, -1, true, false, false}, {200 * ms, 201 * ms, -1, true, false, false}, {251 * ms, 252 * ms, -1, true, false, true}},
		"the other works": {
			{400 * ms, 401 * ms, 700, true, false, false}, // which ends the calm
			{500 * ms, 501 * ms, 100, true, false, false}, {700 * ms, 701 * ms, 100, true, false, true}},
		"both work a bit":  {{100 * ms, 260 * ms, 50, true, false, true}},
		"too much for one": {{100 * ms, 260 * ms, 50, true, false, true}, {300 * ms, 500 * ms, 50, true, false, false}},
	} {
		m, other := meter{habits: &standard}, meter{habits: &standard}
		m.start(0)
		for i, s := range steps {
			if s.other >= 0 {
				other.load.Store(s.other)
				other.loadAt.Store(int64(s.to))
			} else {
				other.load.Store(1000)
				other.loadAt.Store(int64(s.to - idleAfter))
			}
			if got := m.round(s.from, s.to); got != s.judged {
				t.Errorf("%s, round %d: judged %v", name, i, got)
			}
			if !s.judged {
				continue
			}
			if hard, fits := m.overloaded(), m.fits(&other); hard != s.hard || fits != s.fits {
				t.Errorf("%s, round %d: overloaded %v, fits %v; want %v, %v", name, i, hard, fits, s.hard, s.fits)
			}
		}
	}
}
