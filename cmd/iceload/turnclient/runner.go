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

// ErrTimeout means that a request got no response.
var ErrTimeout = errors.New("no response")

// Timeouts of a request (RFC 8489 section 6.2.1). Over UDP, a request is sent at 0, 500, 1,500 and
// 3,500 ms, and abandoned 4 s after the last time. Over a stream it is sent once.
const (
	firstTimeout  = 500 * time.Millisecond
	maxAttempts   = 4
	streamTimeout = 8 * time.Second
	// maxChallenges is how often one request is sent again with a new nonce.
	maxChallenges = 3
)

// RunnerOptions configure a Runner.
type RunnerOptions struct {
	Clients []*Client
	// Send sends a client's request. It may drop the request, which is then retransmitted as if the
	// network had lost it.
	Send func(client int, request []byte)
	// Window is how many clients may be running a script at the same time.
	Window int
	// Reliable turns retransmission off, for streams.
	Reliable bool
}

// Runner runs scripts for clients, which it identifies by their index in Clients. It is not safe
// for concurrent use: one goroutine hands it received messages and calls Tick.
type Runner struct {
	o          RunnerOptions
	jobs       []job
	waiting    []int // clients that wait for the window, in the order of Start
	working    []int // clients that wait for a response
	expired    []int
	requestBuf []byte

	// Times records how long each kind of request took, challenges and retransmissions included.
	Times [numSteps]quantile.Histogram
	// Repeated is the number of retransmissions.
	Repeated uint64
}

// job is the state of one client's script.
type job struct {
	script       []Step
	done         func(error)
	id           [wire.TransactionIDSize]byte
	workingIndex int       // index in Runner.working
	working      bool      // whether the client is in Runner.working
	stepBegan    time.Time // when the current step's request was first sent
	challenges   int       // how often the server challenged it
	attempt      int       // how often the current transaction was sent
	expires      time.Time
}

// NewRunner returns a Runner that runs no script yet.
func NewRunner(o RunnerOptions) *Runner {
	return &Runner{o: o, jobs: make([]job, len(o.Clients))}
}

// Start runs script for a client as soon as the window allows, and calls done with nil or with the
// error that ended it. The client must not be running a script, and script must not be empty. done
// may be nil, and may call Start again.
func (r *Runner) Start(client int, now time.Time, script []Step, done func(error)) {
	r.jobs[client] = job{script: script, done: done}
	r.waiting = append(r.waiting, client)
	r.fillWindow(now)
}

// Idle reports whether all scripts have ended.
func (r *Runner) Idle() bool { return len(r.working) == 0 && len(r.waiting) == 0 }

// Busy reports whether a client's script has not ended yet.
func (r *Runner) Busy(client int) bool { return r.jobs[client].script != nil }

// fillWindow starts waiting clients until the window is full.
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

// beginStep sends the first remaining request of a client's script.
func (r *Runner) beginStep(client int, now time.Time) {
	j := &r.jobs[client]
	j.stepBegan, j.challenges = now, 0
	r.newTransaction(client, now)
}

// newTransaction sends the current request with a new transaction ID.
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

// Handle processes a STUN message that arrived for a client at time now. It reports whether the
// message is the response that the client waits for.
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
		retry, err = false, nil // the response to an earlier attempt was lost
	}
	switch {
	case err != nil:
		r.endScript(client, now, err)
	case retry && j.challenges == maxChallenges: // the server keeps challenging
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

// endScript removes the client from the window, calls done, and starts waiting clients.
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

// Tick retransmits requests whose timeout has passed and abandons those that have used all
// attempts. It returns when it must be called again at the latest, or the zero time if no client
// waits for a response.
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

// handleTimeout retransmits or abandons a request that got no response.
func (r *Runner) handleTimeout(client int, now time.Time) {
	j := &r.jobs[client]
	if !j.working || now.Before(j.expires) {
		return // another script has ended, and its done function has changed this one
	}
	if r.o.Reliable || j.attempt == maxAttempts {
		r.endScript(client, now, fmt.Errorf("%v: %w", j.script[0], ErrTimeout))
		return
	}
	r.Repeated++
	r.sendRequest(client, now)
}
