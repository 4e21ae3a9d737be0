package turnclient

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"icebox/cmd/iceload/quantile"
	"icebox/turnserver/wire"
)

// ErrTimeout is a request that was never answered.
var ErrTimeout = errors.New("no answer")

// Timeouts of a request (RFC 8489 section 6.2.1): over UDP it is sent after 0, 500,
// 1,500 and 3,500 ms, and given up 4 s after that; over a stream it is sent once.
const (
	firstTimeout  = 500 * time.Millisecond
	maxAttempts   = 4
	streamTimeout = 8 * time.Second
	// challenges bounds how often one request is sent again with another nonce.
	maxChallenges = 3
)

// RunnerOptions say how a Runner works.
type RunnerOptions struct {
	Clients []*Client
	// Send sends a request of a session. What it does not send is repeated as if it were lost.
	Send func(client int, request []byte)
	// Window bounds how many sessions are at work at a time.
	Window int
	// Reliable transports need no repeated requests.
	Reliable bool
}

// Runner takes sessions through scripts. It belongs to one goroutine, which hands it
// what arrives and tells it by Tick what time it is.
type Runner struct {
	o          RunnerOptions
	jobs       []job
	waiting    []int // sessions in the order they were started
	working    []int // sessions with a request on its way
	expired    []int
	requestBuf []byte

	// Times has how long each kind of request took, challenges and repetitions included.
	Times [numSteps]quantile.Histogram
	// Repeated is how many requests were sent again for want of an answer.
	Repeated uint64
}

// job is what a session is at.
type job struct {
	script       []Step
	done         func(error)
	id           [wire.TransactionIDSize]byte
	workingIndex int       // in Runner.working
	working      bool      // is there
	stepBegan    time.Time // when the request was sent first
	challenges   int       // how often it was sent with another nonce
	attempt      int       // how often this transaction was sent
	expires      time.Time
}

// NewRunner returns a Runner with nothing to do.
func NewRunner(o RunnerOptions) *Runner {
	return &Runner{o: o, jobs: make([]job, len(o.Clients))}
}

// Start takes a session through script, as soon as the window allows, and calls done
// with nil or with the error that ended it. The session must be idle, and script not
// empty; done may start the session again.
func (r *Runner) Start(client int, now time.Time, script []Step, done func(error)) {
	r.jobs[client] = job{script: script, done: done}
	r.waiting = append(r.waiting, client)
	r.fillWindow(now)
}

// Idle tells whether all scripts have ended.
func (r *Runner) Idle() bool { return len(r.working) == 0 && len(r.waiting) == 0 }

// Busy tells whether a session is at a script.
func (r *Runner) Busy(client int) bool { return r.jobs[client].script != nil }

// fill starts what waits, up to the window.
func (r *Runner) fillWindow(now time.Time) {
	for len(r.working) < r.o.Window && len(r.waiting) > 0 {
		client := r.waiting[0]
		r.waiting = r.waiting[1:]
		j := &r.jobs[client]
		j.working, j.workingIndex = true, len(r.working)
		r.working = append(r.working, client)
		r.beginStep(client, now)
	}
}

// begin sends the first request of what is left of a session's script.
func (r *Runner) beginStep(client int, now time.Time) {
	j := &r.jobs[client]
	j.stepBegan, j.challenges = now, 0
	r.newTransaction(client, now)
}

// transact sends the current request as a new transaction.
func (r *Runner) newTransaction(client int, now time.Time) {
	j := &r.jobs[client]
	binary.LittleEndian.PutUint64(j.id[:], rand.Uint64())
	binary.LittleEndian.PutUint32(j.id[8:], uint32(client))
	j.attempt = 0
	r.sendRequest(client, now)
}

func (r *Runner) sendRequest(client int, now time.Time) {
	j := &r.jobs[client]
	timeout := streamTimeout
	if !r.o.Reliable {
		timeout = firstTimeout << j.attempt
	}
	j.expires = now.Add(timeout)
	j.attempt++
	r.requestBuf = r.o.Clients[client].appendRequest(r.requestBuf[:0], j.script[0], j.id)
	r.o.Send(client, r.requestBuf)
}

// Handle digests a STUN message that came for a session at time now, and tells
// whether it was the answer that the session waited for.
func (r *Runner) Handle(client int, message []byte, now time.Time) bool {
	var m wire.Message
	if client < 0 || client >= len(r.jobs) || wire.Parse(message, &m) != nil {
		return false
	}
	j := &r.jobs[client]
	if !j.working || m.TransactionID != j.id || m.Method != j.script[0].method() || m.Class != wire.Success && m.Class != wire.Error {
		return false
	}
	retry, err := r.o.Clients[client].handleResponse(j.script[0], &m)
	if j.script[0] == Release && j.attempt > 1 && errorCode(&m) == wire.AllocationMismatch {
		retry, err = false, nil // the answer to the first attempt was lost
	}
	switch {
	case err != nil:
		r.endScript(client, now, err)
	case retry && j.challenges == maxChallenges: // a server that is never content
		r.endScript(client, now, &CodeError{j.script[0], errorCode(&m)})
	case retry:
		j.challenges++
		r.newTransaction(client, now)
	default:
		r.Times[j.script[0]].Record(now.Sub(j.stepBegan))
		if j.script = j.script[1:]; len(j.script) > 0 {
			r.beginStep(client, now)
		} else {
			r.endScript(client, now, nil)
		}
	}
	return true
}

// end ends a session's script.
func (r *Runner) endScript(client int, now time.Time, err error) {
	j := &r.jobs[client]
	done, place, last := j.done, j.workingIndex, len(r.working)-1
	moved := r.working[last]
	r.working[place] = moved
	r.jobs[moved].workingIndex = place
	r.working = r.working[:last]
	*j = job{}
	if done != nil {
		done(err)
	}
	r.fillWindow(now)
}

// Tick repeats requests and gives them up. It returns when it wants to be called
// again at the latest, the zero time if nothing is under way.
func (r *Runner) Tick(now time.Time) (next time.Time) {
	r.expired = r.expired[:0]
	for _, client := range r.working {
		if !now.Before(r.jobs[client].expires) {
			r.expired = append(r.expired, client)
		}
	}
	for _, client := range r.expired {
		r.handleTimeout(client, now)
	}
	for _, client := range r.working {
		if j := &r.jobs[client]; next.IsZero() || j.expires.Before(next) {
			next = j.expires
		}
	}
	return next
}

// expire repeats a request that was not answered, or gives it up.
func (r *Runner) handleTimeout(client int, now time.Time) {
	j := &r.jobs[client]
	if !j.working || now.Before(j.expires) {
		return // another one's end has changed it
	}
	if r.o.Reliable || j.attempt == maxAttempts {
		r.endScript(client, now, fmt.Errorf("%v: %w", j.script[0], ErrTimeout))
		return
	}
	r.Repeated++
	r.sendRequest(client, now)
}
