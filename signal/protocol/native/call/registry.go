package call

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/budget"
)

// EmptyWait is how long a call without parties lasts, for a page that is being reloaded.
const EmptyWait = time.Minute

// Party is a client in a call. Notify must not block, nor call the book.
type Party interface {
	Addr() broker.Addr
	Name() string
	// User is whom [signal.CallLimits.OnePerUser] counts by.
	User() string
	// AddrKey is the address that [signal.CallLimits.KeptPerAddr] counts by.
	AddrKey() netip.Addr
	// Notify lets the party know. A message that it can't take now is an error, an *signal.Error.
	Notify(Event) error
}

// EventKind says what happened in a call.
type EventKind uint8

// The kinds of events. From is who did it.
const (
	Joined  EventKind = iota
	Left              // and may come again
	Gone              // its session is over
	Message           // Label and Data are the sender's
	Kept              // a Message that was kept
	Hangup            // the call is over
	Unjoined
	Empty
)

// Event is what a party is told.
type Event struct {
	Kind     EventKind
	Call     string
	From     broker.Addr
	FromName string
	Label    string
	Data     []byte // lent, unless Kept
}

// Info describes a call to who makes or joins it.
type Info struct {
	ID     string
	Max    int
	Until  time.Time // when it ends if nobody joins
	Others []Party
	// Proof lets its holder make the call again, or join it, once this process is no more. Empty for a
	// reserved call.
	Proof string
}

// Pass is what a party shows to be let in, beside the call's ID.
type Pass struct {
	Listed bool   // its token lists the call
	Proof  string // see [Info]
}

// Options are fixed for the life of a Registry.
type Options struct {
	// Limits is asked whenever they matter.
	Limits func() signal.CallLimits
	// Secret is what proofs are made with; all processes that shall believe each other's have the same. Empty: no
	// other process does.
	Secret     []byte
	Registerer prometheus.Registerer // nil: no registration
}

// Registry has all calls of a process. It is safe for concurrent use.
type Registry struct {
	limits  func() signal.CallLimits
	metrics *metrics
	prover  *prover
	budget  budget.Budget // taken with a call's lock held

	mu            sync.Mutex // taken with a call's lock held, never the other way round
	calls         map[string]*call
	members       map[broker.Addr]map[*call]struct{}
	users         map[string]int      // in how many calls
	endedRestored map[string]struct{} // calls that were made again and have ended
}

// errExists is for who was not the first to make a call.
var errExists = errors.New("the call exists")

// New returns an empty Registry.
func New(o Options) (*Registry, error) {
	r := &Registry{
		limits: o.Limits, prover: newProver(o.Secret, time.Now()), calls: make(map[string]*call),
		members: make(map[broker.Addr]map[*call]struct{}), users: make(map[string]int), endedRestored: make(map[string]struct{}),
	}
	var err error
	if r.metrics, err = newMetrics(o.Registerer, &r.budget); err != nil {
		return nil, fmt.Errorf("make a book of calls: %w", err)
	}
	return r, nil
}

// letters of an ID: 32 of them.
const letters = "abcdefghijkmnpqrstuvwxyz23456789"

func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // documented never to fail
	for i, r := range id {
		id[i] = letters[r%32]
	}
	return string(id[:])
}

// ValidID reports whether a call may have this ID: 1 to 64 letters, digits and "._~-".
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

// Create makes a call for at most so many parties, with p in it; 0 means two. Reply is called
// before p is told anything of the call.
func (r *Registry) Create(p Party, maxParties int, reply func(Info)) error {
	if maxParties == 0 {
		maxParties = 2
	}
	if maxParties < 2 || maxParties > r.limits().Parties {
		return signal.ErrCallLimit
	}
	return r.startCall(p, &call{registry: r, id: newID(), max: maxParties}, reply)
}

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

// Join puts p into a call. What others are told comes after reply is called, and so does what was kept. Who has a token
// that lists the call makes it by joining, and so does who proves to have been in it before this process began.
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

// findOrNew returns a call, or one that may be made because it is missing.
func (r *Registry) findOrNew(id string, pass Pass) (c *call, missing bool) {
	r.mu.Lock()
	c = r.calls[id]
	_, over := r.endedRestored[id]
	over = over || len(r.endedRestored) >= maxEndedRestored
	r.mu.Unlock()
	if c != nil || !ValidID(id) {
		return c, false
	}
	if pass.Listed {
		return &call{registry: r, id: id, max: r.limits().Parties, reserved: true}, true
	}
	if maxParties, ok := r.prover.verify(id, pass.Proof, time.Now()); ok && !over {
		return &call{registry: r, id: id, max: min(maxParties, r.limits().Parties), restored: true, joined: true}, true
	}
	return nil, false
}

// Check reports what would keep p from joining a call, so that who asks needn't be given anything beforehand.
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

// Member reports whether a client is in a call.
func (r *Registry) Member(a broker.Addr, id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, in := r.members[a][r.calls[id]]
	return in
}

// Send passes a message on to a party, or to all others if to is zero. The error is an *signal.Error.
func (r *Registry) Send(p Party, id string, to broker.Addr, label string, data []byte) error {
	c, err := r.memberCall(p, id)
	if err != nil {
		return err
	}
	return c.send(p, to, label, data)
}

// Leave takes p out of a call.
func (r *Registry) Leave(p Party, id string) error {
	c, err := r.memberCall(p, id)
	if err != nil {
		return err
	}
	c.remove(p, Left)
	return nil
}

// Hangup ends a call for all.
func (r *Registry) Hangup(p Party, id string) error {
	c, err := r.memberCall(p, id)
	if err != nil {
		return err
	}
	c.end(Event{Kind: Hangup, From: p.Addr(), FromName: p.Name()})
	return nil
}

// Drop takes p out of all its calls, because its session is over.
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

// memberCall returns a call that p is in.
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

// checkAllowed reports what keeps p from being in one more call. The caller holds mu.
func (r *Registry) checkAllowed(p Party, l signal.CallLimits) error {
	switch {
	case l.OnePerUser && r.users[p.User()] > 0:
		return signal.ErrInCall
	case len(r.members[p.Addr()]) >= l.PerClient:
		return signal.ErrCallLimit
	}
	return nil
}

// addParty notes that p is in a call, unless it is in too many.
func (r *Registry) addParty(p Party, c *call) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.checkAllowed(p, r.limits()); err != nil {
		return err
	}
	r.recordMember(p, c)
	return nil
}

// recordMember and exit note who is in which call. The caller holds mu.
func (r *Registry) recordMember(p Party, c *call) {
	in := r.members[p.Addr()]
	if in == nil {
		in = make(map[*call]struct{})
		r.members[p.Addr()] = in
	}
	in[c] = struct{}{}
	r.users[p.User()]++
}

func (r *Registry) forgetMember(p Party, c *call) {
	in := r.members[p.Addr()]
	if delete(in, c); len(in) == 0 {
		delete(r.members, p.Addr())
	}
	if r.users[p.User()]--; r.users[p.User()] <= 0 {
		delete(r.users, p.User())
	}
}
