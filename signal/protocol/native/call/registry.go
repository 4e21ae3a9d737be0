package call

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/budget"
)

// EmptyWait is how long a call without parties lasts. A page that is reloaded can join it again in that time.
const EmptyWait = time.Minute

// Info describes a call to the party that creates or joins it.
type Info struct {
	ID     string
	Max    int       // the most parties that may be in the call
	Until  time.Time // when the call ends if nobody joins
	Others []Party
	// Proof lets its holder create the call again, or join it, in a later process. It is empty for a reserved call.
	Proof string
}

// Pass is the evidence, beside the call's ID, that a party may join a call or create it by joining.
type Pass struct {
	Listed bool   // the party's token lists the call
	Proof  string // from [Info], or empty
}

// Options are fixed for the life of a Registry.
type Options struct {
	// Limits returns the current limits. It is called for every operation, because they can change.
	Limits func() signal.CallLimits
	// Secret authenticates proofs. A process accepts the proofs of earlier processes with the same secret. If it is
	// empty, a random one is used, and no other process accepts this one's proofs.
	Secret     []byte
	Registerer prometheus.Registerer // nil registers no metrics
}

// Registry has all calls of a process. Its methods are safe for concurrent use, and their errors are *signal.Errors.
type Registry struct {
	limits  func() signal.CallLimits
	metrics *metrics
	prover  *prover
	budget  budget.Budget // the bytes of all kept messages

	mu            sync.Mutex // may be locked with a call's lock held, never the other way round
	calls         map[string]*call
	members       map[broker.Addr]map[*call]struct{} // the calls that a party is in
	users         map[string]int                     // how many calls a user is in
	endedRestored map[string]struct{}                // the IDs of calls that were restored and have ended
}

// errExists means that another party has just created the call.
var errExists = errors.New("the call exists already")

// New returns an empty Registry. It fails if a metric is registered already.
func New(o Options) (*Registry, error) {
	r := &Registry{
		limits: o.Limits, prover: newProver(o.Secret, time.Now()), calls: make(map[string]*call),
		members: make(map[broker.Addr]map[*call]struct{}), users: make(map[string]int), endedRestored: make(map[string]struct{}),
	}
	var err error
	if r.metrics, err = newMetrics(o.Registerer, &r.budget); err != nil {
		return nil, fmt.Errorf("create the registry of calls: %w", err)
	}
	return r, nil
}

// letters are the 32 characters of a generated ID. None of them look alike.
const letters = "abcdefghijkmnpqrstuvwxyz23456789"

func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // documented never to fail
	for i, b := range id {
		id[i] = letters[b%32]
	}
	return string(id[:])
}

// ValidID reports whether id is 1 to 64 ASCII letters, digits and characters of "._~-".
func ValidID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && c != '.' && c != '_' && c != '~' && c != '-' {
			return false
		}
	}
	return true
}

// Create creates a call with p in it, for at most maxParties parties: 2 to [signal.CallLimits.Parties], and 0 means 2. It
// calls reply before p can be notified of anything in the call. The error is ErrCallLimit or ErrInCall.
func (r *Registry) Create(p Party, maxParties int, reply func(Info)) error {
	if maxParties == 0 {
		maxParties = 2
	}
	if maxParties < 2 || maxParties > r.limits().Parties {
		return signal.ErrCallLimit
	}
	return r.startCall(p, &call{registry: r, id: newID(), max: maxParties}, reply)
}

// startCall registers a new call with p in it, unless p or the process has too many calls. It returns errExists if a call
// with the same ID has been registered in the meantime.
func (r *Registry) startCall(p Party, c *call, reply func(Info)) error {
	l := r.limits()
	c.joinDeadline = time.Now().Add(l.Unjoined)
	c.mu.Lock()
	defer c.mu.Unlock()
	r.mu.Lock()
	if err := r.checkAllowed(p, l); err != nil {
		r.mu.Unlock()
		return err
	}
	if l.Total > 0 && len(r.calls) >= l.Total {
		r.mu.Unlock()
		return signal.ErrCallLimit
	}
	if r.calls[c.id] != nil {
		r.mu.Unlock()
		return errExists
	}
	r.calls[c.id] = c
	r.recordMember(p, c)
	r.mu.Unlock()
	c.parties = append(c.parties, p)
	c.timer = time.AfterFunc(l.Unjoined, c.expire)
	r.metrics.callStarted()
	reply(c.info(p))
	return nil
}

// Join adds p to a call. If the call does not exist, Join creates it if the token behind pass lists the call, or if pass
// has a proof of an earlier process. Join first calls reply, then notifies p of the kept messages, then notifies the
// others. reply runs with the call's lock held, so it must not block. The error is ErrNoSuchCall, ErrCallBarred,
// ErrCallFull, ErrInCall or ErrCallLimit.
func (r *Registry) Join(p Party, id string, pass Pass, reply func(Info)) error {
	for {
		c, missing := r.findOrNew(id, pass)
		switch {
		case c == nil:
			return signal.ErrNoSuchCall
		case !missing:
			return c.join(p, pass.Listed, reply)
		}
		if err := r.startCall(p, c, reply); !errors.Is(err, errExists) {
			return err
		}
	}
}

// findOrNew returns the call with this ID. If there is none but pass allows p to create it, findOrNew returns a new one
// that is not registered yet, and missing is true. Otherwise it returns nil.
func (r *Registry) findOrNew(id string, pass Pass) (c *call, missing bool) {
	r.mu.Lock()
	c = r.calls[id]
	_, ended := r.endedRestored[id]
	ended = ended || len(r.endedRestored) >= maxEndedRestored // the set is full, so this call may have ended too
	r.mu.Unlock()
	if c != nil || !ValidID(id) {
		return c, false
	}
	if pass.Listed {
		return &call{registry: r, id: id, max: r.limits().Parties, reserved: true}, true
	}
	if maxParties, ok := r.prover.verify(id, pass.Proof, time.Now()); ok && !ended {
		return &call{registry: r, id: id, max: min(maxParties, r.limits().Parties), restored: true, joined: true}, true
	}
	return nil, false
}

// Check returns the error that Join would return now, without joining. With Check, a caller can refuse a join before it
// prepares the response, which may be costly.
func (r *Registry) Check(p Party, id string, pass Pass) error {
	c, missing := r.findOrNew(id, pass)
	switch {
	case missing:
		return nil
	case c == nil:
		return signal.ErrNoSuchCall
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.checkJoin(p, pass.Listed); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.checkAllowed(p, r.limits())
}

// Member reports whether the party with address a is in a call.
func (r *Registry) Member(a broker.Addr, id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, in := r.members[a][r.calls[id]]
	return in
}

// Send passes a message from p on to the party with address to, or to all others in the call if to is zero. If p is alone
// in the call, the message is kept, and Send copies data. label is the kind of the message.
func (r *Registry) Send(p Party, id string, to broker.Addr, label string, data []byte) error {
	c, err := r.memberCall(p, id)
	if err != nil {
		return err
	}
	return c.send(p, to, label, data)
}

// Leave takes p out of a call. The error is ErrNoSuchCall or ErrNotInCall.
func (r *Registry) Leave(p Party, id string) error {
	c, err := r.memberCall(p, id)
	if err != nil {
		return err
	}
	c.remove(p, Left)
	return nil
}

// Hangup ends a call that p is in for all its parties. The error is ErrNoSuchCall or ErrNotInCall.
func (r *Registry) Hangup(p Party, id string) error {
	c, err := r.memberCall(p, id)
	if err != nil {
		return err
	}
	c.end(Event{Kind: Hangup, From: p.Addr(), FromName: p.Name()})
	return nil
}

// Drop takes p out of all its calls, because its session has ended.
func (r *Registry) Drop(p Party) {
	r.mu.Lock()
	var in []*call
	for c := range r.members[p.Addr()] {
		in = append(in, c)
	}
	r.mu.Unlock()
	for _, c := range in {
		c.remove(p, Gone)
	}
}

// memberCall returns the call with this ID if p is in it.
func (r *Registry) memberCall(p Party, id string) (*call, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.calls[id]
	if c == nil {
		return nil, signal.ErrNoSuchCall
	}
	if _, in := r.members[p.Addr()][c]; !in {
		return nil, signal.ErrNotInCall
	}
	return c, nil
}

// checkAllowed returns an error if the limits do not allow p to be in one more call. The caller holds mu.
func (r *Registry) checkAllowed(p Party, l signal.CallLimits) error {
	switch {
	case l.OnePerUser && r.users[p.User()] > 0:
		return signal.ErrInCall
	case len(r.members[p.Addr()]) >= l.PerClient:
		return signal.ErrCallLimit
	}
	return nil
}

// addParty records that p is in c, unless the limits do not allow p to be in one more call.
func (r *Registry) addParty(p Party, c *call) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.checkAllowed(p, r.limits()); err != nil {
		return err
	}
	r.recordMember(p, c)
	return nil
}

// recordMember records that p is in c. The caller holds mu.
func (r *Registry) recordMember(p Party, c *call) {
	in := r.members[p.Addr()]
	if in == nil {
		in = make(map[*call]struct{})
		r.members[p.Addr()] = in
	}
	in[c] = struct{}{}
	r.users[p.User()]++
}

// forgetMember undoes recordMember. The caller holds mu.
func (r *Registry) forgetMember(p Party, c *call) {
	in := r.members[p.Addr()]
	if delete(in, c); len(in) == 0 {
		delete(r.members, p.Addr())
	}
	if r.users[p.User()]--; r.users[p.User()] <= 0 {
		delete(r.users, p.User())
	}
}
