package packetio

import (
	"math"
	"sync/atomic"
	"time"
)

// habits say when lanes are handed from loop to loop. Loads are parts of the time, in thousandths.
type habits struct {
	// window is the least time that a meter judges by.
	window time.Duration
	// A loop with a load above busy in late windows on end gives half of its lanes away. In one window another
	// process may have been in the way.
	busy int64
	late int
	// Two loops with a load below calm together, for calmFor, become one. That has less to do with all packets
	// than two have with half of them each: it finds more at a time. So lanes do not go to and fro.
	calm    int64
	calmFor time.Duration
}

// standard are the habits of all but tests.
var standard = habits{window: 8 * time.Millisecond, busy: 800, late: 3, calm: 700, calmFor: 250 * time.Millisecond}

// idleAfter is how old the last reading of a loop may be that waits for packets with nothing to do.
const idleAfter = 100 * time.Millisecond

// never is no time.
const never = math.MinInt64

// meter measures for which part of the time a loop works. Times count from when the loops were made.
// Only reading is for others than the loop itself.
type meter struct {
	*habits
	since  time.Duration // the window
	worked time.Duration // in it
	hard   int           // windows with too much work, up to now
	light  time.Duration // since when little was to do; or never

	load, loadAt atomic.Int64 // of the last window, and its end
}

// start begins anew.
func (m *meter) start(now time.Duration) {
	m.since, m.worked, m.hard, m.light = now, 0, 0, never
}

// round takes note of a round, and tells whether it ends a window.
func (m *meter) round(began, ended time.Duration) bool {
	m.worked += ended - began
	window := ended - m.since
	if window < m.window {
		return false
	}
	load := int64(m.worked * 1000 / max(window, 1))
	if m.hard++; load <= m.busy {
		m.hard = 0
	}
	m.lighten(load)
	m.load.Store(load)
	m.loadAt.Store(int64(ended))
	m.since, m.worked = ended, 0
	return true
}

// lighten notes since when a load counts as little.
func (m *meter) lighten(load int64) {
	switch {
	case load >= m.calm:
		m.light = never
	case m.light == never:
		m.light = m.since
	}
}

// overloaded tells whether another loop should help.
func (m *meter) overloaded() bool { return m.hard >= m.late }

// fits tells, right after a window, whether the other's loop can do the work of both.
func (m *meter) fits(other *meter) bool {
	load := m.load.Load()
	if m.since-time.Duration(other.loadAt.Load()) < idleAfter {
		load += other.load.Load()
	}
	m.lighten(load)
	return m.light != never && m.since-m.light >= m.calmFor
}
