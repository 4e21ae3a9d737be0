package pocketbase

import (
	"crypto/sha256"
	"net/netip"
	"sync/atomic"
	"time"

	"icebox/signal/rate"
)

// Wrong passwords, of an address and for an identity. Right ones cost nothing.
var (
	guessesOfAddress  = rate.PerMinute(30)
	guessesOfIdentity = rate.Rate{PerSecond: 1, Burst: 100}
)

const (
	maxGuessers  = 1 << 14 // buckets of each kind
	maxChecks    = 2       // slow comparisons at a time
	maxWaiting   = 16      // who wait for one
	waitForCheck = 5 * time.Second
)

// guesses keeps passwords from being guessed, and from costing too much to compare.
type guesses struct {
	addrs, identities *rate.Table
	checks            chan struct{}
	waiting           atomic.Int32
}

func newGuesses() *guesses {
	return &guesses{
		addrs: rate.NewTable(maxGuessers), identities: rate.NewTable(maxGuessers), checks: make(chan struct{}, maxChecks),
	}
}

// guess is one that has been allowed.
type guess struct {
	of       *guesses
	addr, as netip.Addr
	proven   bool
}

// allow counts a guess unless there were too many. Who has proven to be this user already isn't kept out by what others guess.
func (g *guesses) allow(addr netip.Addr, identity string, proven bool) (guess, bool) {
	now := time.Now()
	n := guess{of: g, addr: addr, as: hashed(identity), proven: proven}
	if g.addrs.Take(addr, guessesOfAddress, now) > 0 {
		return n, false
	}
	if !proven && g.identities.Take(n.as, guessesOfIdentity, now) > 0 {
		return n, false
	}
	return n, true
}

// take gives back what was no guess.
func (n guess) take() {
	n.of.addrs.Give(n.addr, guessesOfAddress)
	if !n.proven {
		n.of.identities.Give(n.as, guessesOfIdentity)
	}
}

// hashed makes an identity one of the things that tables count by.
func hashed(identity string) netip.Addr {
	sum := sha256.Sum256([]byte(identity))
	return netip.AddrFrom16([16]byte(sum[:16]))
}

// check compares a password, when there is time for that.
func (g *guesses) check(a *accounts, s signIn) (p person, right, busy bool) {
	if !a.slow() {
		p, right = a.check(s.identity, s.password)
		return p, right, false
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > maxWaiting {
		return person{}, false, true
	}
	t := time.NewTimer(waitForCheck)
	defer t.Stop()
	select {
	case g.checks <- struct{}{}:
	case <-t.C:
		return person{}, false, true
	}
	defer func() { <-g.checks }()
	p, right = a.check(s.identity, s.password)
	return p, right, false
}
