package packetio

import (
	"testing"
	"time"
)

// A loop is overloaded after three consecutive busy windows. It can merge with another one after both have had little to do
// for a quarter of a second.
func TestMeter(t *testing.T) {
	const ms = time.Millisecond
	type step struct {
		from, to   time.Duration // a round
		other      int64         // load of the other loop at the end of the round; -1: it sleeps
		window     bool          // the round completes a window
		overloaded bool
		canMerge   bool
	}
	for name, steps := range map[string][]step{
		"always busy":                   {{0, 8 * ms, -1, true, false, false}, {8 * ms, 16 * ms, -1, true, false, false}, {16 * ms, 24 * ms, -1, true, true, false}},
		"rounds shorter than a window":  {{0, 3 * ms, -1, false, false, false}, {3 * ms, 7 * ms, -1, false, false, false}, {7 * ms, 10 * ms, -1, true, false, false}},
		"busy with one pause":           {{0, 16 * ms, -1, true, false, false}, {22 * ms, 26 * ms, -1, true, false, false}, {26 * ms, 42 * ms, -1, true, false, false}, {42 * ms, 58 * ms, -1, true, false, false}},
		"after a sleep":                 {{400 * ms, 401 * ms, -1, true, false, true}},
		"calm, but not for long enough": {{100 * ms, 101 * ms, -1, true, false, false}, {200 * ms, 201 * ms, -1, true, false, false}, {251 * ms, 252 * ms, -1, true, false, true}},
		"the other loop is busy": {
			{400 * ms, 401 * ms, 700, true, false, false}, // the other load ends the calm
			{500 * ms, 501 * ms, 100, true, false, false}, {700 * ms, 701 * ms, 100, true, false, true}},
		"both have a little to do": {{100 * ms, 260 * ms, 50, true, false, true}},
		"too much for one":         {{100 * ms, 260 * ms, 50, true, false, true}, {300 * ms, 500 * ms, 50, true, false, false}},
	} {
		m, other := meter{scalePolicy: &defaultPolicy}, meter{scalePolicy: &defaultPolicy}
		m.reset(0)
		for i, s := range steps {
			if s.other >= 0 {
				other.load.Store(s.other)
				other.loadAt.Store(int64(s.to))
			} else {
				other.load.Store(1000)
				other.loadAt.Store(int64(s.to - idleAfter))
			}
			if got := m.endRound(s.from, s.to); got != s.window {
				t.Errorf("%s, round %d: completes a window: %v", name, i, got)
			}
			if !s.window {
				continue
			}
			if overloaded, canMerge := m.overloaded(), m.canMerge(&other); overloaded != s.overloaded || canMerge != s.canMerge {
				t.Errorf("%s, round %d: overloaded %v, can merge %v; want %v, %v", name, i, overloaded, canMerge, s.overloaded, s.canMerge)
			}
		}
	}
}
