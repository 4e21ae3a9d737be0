package generator

import (
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"icebox/cmd/iceload/quantile"
	"icebox/cmd/iceload/tally"
	"icebox/cmd/iceload/turnclient"
)

// Indexes of a client's two flows.
const (
	up = iota
	down
	numDirs
)

// Anomalies count packets that a correct server never causes.
type Anomalies struct {
	// Strays do not belong to this phase.
	Strays uint64
	// Misdelivered packets had a wrong source or destination.
	Misdelivered uint64
	// Damaged packets arrived with another length than they were sent with.
	Damaged uint64
}

func (a *Anomalies) add(b *Anomalies) {
	a.Strays += b.Strays
	a.Misdelivered += b.Misdelivered
	a.Damaged += b.Damaged
}

// counts are one worker's counts of one phase of traffic.
type counts struct {
	sent, received, skipped, unsent, wakeups uint64
	Anomalies
}

// progress is the part of counts that other goroutines may read during the phase.
type progress struct{ sent, received atomic.Uint64 }

func (p *progress) publish(c *counts) {
	p.sent.Store(c.sent)
	p.received.Store(c.received)
}

// TrafficResult is the result of a phase of traffic. Index 0 is from clients to peers, index 1 from
// peers to clients.
type TrafficResult struct {
	Flows   [numDirs]tally.Flow
	Latency [numDirs]*quantile.Histogram
	// Elapsed is how long packets were sent.
	Elapsed time.Duration
	// Skipped packets were not sent because the generator was too late, and Unsent ones because a
	// client's stream was full. Refused packets were rejected by this host's kernel, and RefusedFor
	// is its first error; they are counted as sent and lost.
	Skipped, Unsent, Refused uint64
	RefusedFor               error
	// Lateness has the delays between the due times of the bursts and the times at which they were sent. Wakeups is the
	// number of wake-ups of the generator.
	Lateness quantile.Histogram
	Wakeups  uint64
	// Failures are the failed refreshes of allocations.
	Failures []Failure
	Anomalies
}

// Sent returns how many packets were sent, in both directions.
func (t *TrafficResult) Sent() uint64 { return t.Flows[up].Sent + t.Flows[down].Sent }

// Received returns how many packets arrived, in both directions.
func (t *TrafficResult) Received() uint64 { return t.Flows[up].Received + t.Flows[down].Received }

func (t *TrafficResult) add(other *TrafficResult) {
	for dir := range numDirs {
		t.Flows[dir].Add(&other.Flows[dir])
		t.Latency[dir].Merge(other.Latency[dir])
	}
	t.Skipped += other.Skipped
	t.Unsent += other.Unsent
	t.Wakeups += other.Wakeups
	t.Lateness.Merge(&other.Lateness)
	t.Anomalies.add(&other.Anomalies)
}

// SetUpResult is the result of setting up allocations.
type SetUpResult struct {
	Made    int // number of allocations that exist now
	Elapsed time.Duration
	// Times are the durations of the requests, by step.
	Times    map[turnclient.Step]*quantile.Histogram
	Repeated uint64 // number of retransmitted requests
	Failures []Failure
}

// Failure is an error and how often it occurred.
type Failure struct {
	Error string `json:"error"`
	Count int    `json:"count"`
}

// failures counts errors by their text.
type failures map[string]int

func (f failures) add(err error) { f[err.Error()]++ }

// list returns the failures, the most frequent first.
func (f failures) list() []Failure {
	var all []Failure
	for _, text := range slices.Sorted(maps.Keys(f)) {
		all = append(all, Failure{text, f[text]})
	}
	slices.SortStableFunc(all, func(a, b Failure) int { return b.Count - a.Count })
	return all
}

// String returns the failure in one line.
func (f Failure) String() string { return f.Error + " (" + strconv.Itoa(f.Count) + " times)" }
