package packetio

import (
	"math"
	"sync/atomic"
	"time"
)

// scalePolicy decides when loops split and merge. Loads are in thousandths of the time: 1000 means always busy.
type scalePolicy struct {
	// window is the shortest time over which a load is measured.
	window time.Duration
	// A loop gives half of its lanes to another loop after busyFor consecutive windows with a load above busy. One
	// window is not enough, because another process may have taken the CPU.
	busy    int64
	busyFor int
	// Two loops merge when their combined load has stayed below calm for calmFor. One loop reads more packets per
	// wake-up than two loops do, so it needs less time for the same packets. Lanes do not move back and forth, because
	// calm is below busy and the load must stay below it for calmFor.
	calm    int64
	calmFor time.Duration
}

// defaultPolicy is used outside tests.
var defaultPolicy = scalePolicy{window: 8 * time.Millisecond, busy: 800, busyFor: 3, calm: 700, calmFor: 250 * time.Millisecond}

// idleAfter is the age from which the last measured load of another loop counts as zero, because that loop has been
// waiting for packets.
const idleAfter = 100 * time.Millisecond

// notCalm is the value of meter.calmSince while the load is not calm.
const notCalm = math.MinInt64

// meter measures the share of time during which a loop works. Times count from the creation of the loops. Only load and
// loadAt may be read by other goroutines.
type meter struct {
	*scalePolicy
	since       time.Duration // start of the current window
	worked      time.Duration // in the current window
	busyWindows int           // consecutive windows with a load above busy
	calmSince   time.Duration // or notCalm

	load, loadAt atomic.Int64 // load of the last window, and the end of that window
}

// reset starts measuring at now.
func (m *meter) reset(now time.Duration) {
	m.since, m.worked, m.busyWindows, m.calmSince = now, 0, 0, notCalm
}

// endRound records a round and reports whether it completed a window.
func (m *meter) endRound(began, ended time.Duration) bool {
	m.worked += ended - began
	window := ended - m.since
	if window < m.window {
		return false
	}
	load := int64(m.worked * 1000 / max(window, 1))
	if m.busyWindows++; load <= m.busy {
		m.busyWindows = 0
	}
	m.updateCalm(load)
	m.load.Store(load)
	m.loadAt.Store(int64(ended))
	m.since, m.worked = ended, 0
	return true
}

// updateCalm records since when the load has been below calm.
func (m *meter) updateCalm(load int64) {
	switch {
	case load >= m.calm:
		m.calmSince = notCalm
	case m.calmSince == notCalm:
		m.calmSince = m.since
	}
}

// overloaded reports whether another loop should take over half of the lanes.
func (m *meter) overloaded() bool { return m.busyWindows >= m.busyFor }

// canMerge reports whether one loop can do the work of this loop and the other one. It is called right after a window.
func (m *meter) canMerge(other *meter) bool {
	load := m.load.Load()
	if m.since-time.Duration(other.loadAt.Load()) < idleAfter {
		load += other.load.Load()
	}
	m.updateCalm(load)
	return m.calmSince != notCalm && m.since-m.calmSince >= m.calmFor
}
