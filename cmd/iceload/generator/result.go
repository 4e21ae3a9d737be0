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

// Flows of a client.
const (
	up = iota
	down
	numDirs
)

// Anomalies are what should not happen at all, in packets.
type Anomalies struct {
	// Strays are not of this run.
	Strays uint64
	// Misdelivered came to, or from, another address than they should.
	Misdelivered uint64
	// Damaged came with another length than they had.
	Damaged uint64
}

func (a *Anomalies) add(b *Anomalies) {
	a.Strays += b.Strays
	a.Misdelivered += b.Misdelivered
	a.Damaged += b.Damaged
}

// counts are a worker's, of one phase of traffic.
type counts struct {
	sent, received, skipped, unsent, wakeups uint64
	Anomalies
}

// progress is what others may read of counts meanwhile.
type progress struct{ sent, received atomic.Uint64 }

func (p *progress) publish(c *counts) {
	p.sent.Store(c.sent)
	p.received.Store(c.received)
}

// Traffic is what a phase of traffic came to. Index 0 is from clients to peers, index 1
// from peers to clients.
type TrafficResult struct {
	Flows   [numDirs]tally.Flow
	Latency [numDirs]*quantile.Histogram
	// Elapsed is for how long packets were sent.
	Elapsed time.Duration
	// Skipped packets were not sent because the generator was too late, Unsent ones
	// because a stream was full, and Refused ones because this host's kernel would not; the last
	// are among those sent and lost. RefusedFor is what it said first.
	Skipped, Unsent, Refused uint64
	RefusedFor               error
	// Lateness is how late what was due was sent; Wakeups is how often the generator woke up.
	Lateness quantile.Histogram
	Wakeups  uint64
	// Failures are of refreshing allocations.
	Failures []Failure
	Anomalies
}

// Sent is how many packets were sent in both directions.
func (t *TrafficResult) Sent() uint64 { return t.Flows[up].Sent + t.Flows[down].Sent }

// Received is how many of them arrived.
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

// SetUp is what making allocations came to.
type SetUpResult struct {
	Made    int // allocations, in all
	Elapsed time.Duration
	// Times are of the single requests, by their step.
	Times    map[turnclient.Step]*quantile.Histogram
	Repeated uint64 // requests, for want of an answer
	Failures []Failure
}

// Failure is an error, and how many met it.
type Failure struct {
	Error string `json:"error"`
	Count int    `json:"count"`
}

// failures counts errors by what they say.
type failures map[string]int

func (f failures) add(err error) { f[err.Error()]++ }

// list has the most frequent first.
func (f failures) list() []Failure {
	var all []Failure
	for _, text := range slices.Sorted(maps.Keys(f)) {
		all = append(all, Failure{text, f[text]})
	}
	slices.SortStableFunc(all, func(a, b Failure) int { return b.Count - a.Count })
	return all
}

// String says the failure in one line.
func (f Failure) String() string { return f.Error + " (" + strconv.Itoa(f.Count) + " times)" }
