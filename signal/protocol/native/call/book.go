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

// Party is a client in a call. Tell must not block, nor call the book.
type Party interface {
	Addr() broker.Addr
	Name() string
	// User is whom [signal.CallLimits.OnePerUser] counts by.
	User() string
	// AddrKey is the address that [signal.CallLimits.KeptPerAddr] counts by.
	AddrKey() netip.Addr
	// Tell lets the party know. A message that it can't take now is an error, an *signal.Error.
	Tell(Event) error
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

// Options are fixed for the life of a Book.
type Options struct {
	// Limits is asked whenever they matter.
	Limits func() signal.CallLimits
	// Secret is what proofs are made with; all processes that shall believe each other's have the same. Empty: no
	// other process does.
	Secret     []byte
	Registerer prometheus.Registerer // nil: no registration
}

// Book has all calls of a process. It is safe for concurrent use.
type Book struct {
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

// New returns an empty Book.
func New(o Options) (*Book, error) {
	b := &Book{
		limits: o.Limits, prover: newProver(o.Secret, time.Now()), calls: make(map[string]*call),
		members: make(map[broker.Addr]map[*call]struct{}), users: make(map[string]int), endedRestored: make(map[string]struct{}),
	}
	var err error
	if b.metrics, err = newMetrics(o.Registerer, &b.budget); err != nil {
		return nil, fmt.Errorf("make a book of calls: %w", err)
	}
	return b, nil
}

// letters of an ID: 32 of them.
const letters = "abcdefghijkmnpqrstuvwxyz23456789"

func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // documented never to fail
	for i, b := range id {
		id[i] = letters[b%32]
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
func (b *Book) Create(p Party, most int, reply func(Info)) error {
	if most == 0 {
		most = 2
	}
	if most < 2 || most > b.limits().Parties {
		return signal.ErrCallLimit
	}
	return b.makeCall(p, &call{book: b, id: newID(), max: most}, reply)
}

func (b *Book) makeCall(p Party, c *call, reply func(Info)) error {
	l := b.limits()
	c.until = time.Now().Add(l.Unjoined)
	c.mu.Lock()
	defer c.mu.Unlock()
	b.mu.Lock()
	if err := b.checkAllowed(p, l); err != nil {
		b.mu.Unlock()
		return err
	}
	if l.Total > 0 && len(b.calls) >= l.Total {
		b.mu.Unlock()
		return signal.ErrCallLimit
	}
	if b.calls[c.id] != nil {
		b.mu.Unlock()
		return errExists
	}
	b.calls[c.id] = c
	b.recordMember(p, c)
	b.mu.Unlock()
	c.parties = append(c.parties, p)
	c.timer = time.AfterFunc(l.Unjoined, c.expire)
	b.metrics.began()
	reply(c.info(p))
	return nil
}

// Join puts p into a call. What others are told comes after reply is called, and so does what was kept. Who has a token
// that lists the call makes it by joining, and so does who proves to have been in it before this process began.
func (b *Book) Join(p Party, id string, pass Pass, reply func(Info)) error {
	for {
		c, missing := b.findOrNew(id, pass)
		switch {
		case c == nil:
			return signal.ErrNoSuchCall
		case !missing:
			return c.join(p, pass.Listed, reply)
		}
		if err := b.makeCall(p, c, reply); !errors.Is(err, errExists) {
			return err
		}
	}
}

// findOrNew returns a call, or one that may be made because it is missing.
func (b *Book) findOrNew(id string, pass Pass) (c *call, missing bool) {
	b.mu.Lock()
	c = b.calls[id]
	_, over := b.endedRestored[id]
	over = over || len(b.endedRestored) >= maxEndedRestored
	b.mu.Unlock()
	if c != nil || !ValidID(id) {
		return c, false
	}
	if pass.Listed {
		return &call{book: b, id: id, max: b.limits().Parties, reserved: true}, true
	}
	if most, ok := b.prover.verify(id, pass.Proof, time.Now()); ok && !over {
		return &call{book: b, id: id, max: min(most, b.limits().Parties), restored: true, joined: true}, true
	}
	return nil, false
}

// Check reports what would keep p from joining a call, so that who asks needn't be given anything beforehand.
func (b *Book) Check(p Party, id string, pass Pass) error {
	c, missing := b.findOrNew(id, pass)
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
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.checkAllowed(p, b.limits())
}

// Member reports whether a client is in a call.
func (b *Book) Member(a broker.Addr, id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, in := b.members[a][b.calls[id]]
	return in
}

// Send passes a message on to a party, or to all others if to is zero. The error is an *signal.Error.
func (b *Book) Send(p Party, id string, to broker.Addr, label string, data []byte) error {
	c, err := b.memberCall(p, id)
	if err != nil {
		return err
	}
	return c.send(p, to, label, data)
}

// Leave takes p out of a call.
func (b *Book) Leave(p Party, id string) error {
	c, err := b.memberCall(p, id)
	if err != nil {
		return err
	}
	c.remove(p, Left)
	return nil
}

// Hangup ends a call for all.
func (b *Book) Hangup(p Party, id string) error {
	c, err := b.memberCall(p, id)
	if err != nil {
		return err
	}
	c.end(Event{Kind: Hangup, From: p.Addr(), FromName: p.Name()})
	return nil
}

// Drop takes p out of all its calls, because its session is over.
func (b *Book) Drop(p Party) {
	b.mu.Lock()
	var in []*call
	for c := range b.members[p.Addr()] {
		in = append(in, c)
	}
	b.mu.Unlock()
	for _, c := range in {
		c.remove(p, Gone)
	}
}

// memberCall returns a call that p is in.
func (b *Book) memberCall(p Party, id string) (*call, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.calls[id]
	if c == nil {
		return nil, signal.ErrNoSuchCall
	}
	if _, in := b.members[p.Addr()][c]; !in {
		return nil, signal.ErrNotInCall
	}
	return c, nil
}

// checkAllowed reports what keeps p from being in one more call. The caller holds mu.
func (b *Book) checkAllowed(p Party, l signal.CallLimits) error {
	switch {
	case l.OnePerUser && b.users[p.User()] > 0:
		return signal.ErrInCall
	case len(b.members[p.Addr()]) >= l.PerClient:
		return signal.ErrCallLimit
	}
	return nil
}

// addParty notes that p is in a call, unless it is in too many.
func (b *Book) addParty(p Party, c *call) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.checkAllowed(p, b.limits()); err != nil {
		return err
	}
	b.recordMember(p, c)
	return nil
}

// recordMember and exit note who is in which call. The caller holds mu.
func (b *Book) recordMember(p Party, c *call) {
	in := b.members[p.Addr()]
	if in == nil {
		in = make(map[*call]struct{})
		b.members[p.Addr()] = in
	}
	in[c] = struct{}{}
	b.users[p.User()]++
}

func (b *Book) forgetMember(p Party, c *call) {
	in := b.members[p.Addr()]
	if delete(in, c); len(in) == 0 {
		delete(b.members, p.Addr())
	}
	if b.users[p.User()]--; b.users[p.User()] <= 0 {
		delete(b.users, p.User())
	}
}
