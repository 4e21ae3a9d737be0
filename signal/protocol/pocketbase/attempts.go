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
	attemptsPerAddr     = rate.PerMinute(30)
	attemptsPerIdentity = rate.Rate{PerSecond: 1, Burst: 100}
)

const (
	maxAttemptKeys = 1 << 14 // buckets of each kind
	maxChecks      = 2       // slow comparisons at a time
	maxPending     = 16      // who wait for one
	waitForCheck   = 5 * time.Second
)

// attemptLimiter keeps passwords from being guessed, and from costing too much to compare.
type attemptLimiter struct {
	addrs, identities *rate.Table
	checks            chan struct{}
	pending           atomic.Int32
}

func newAttemptLimiter() *attemptLimiter {
	return &attemptLimiter{
		addrs: rate.NewTable(maxAttemptKeys), identities: rate.NewTable(maxAttemptKeys), checks: make(chan struct{}, maxChecks),
	}
}

// attempt is one that has been allowed.
type attempt struct {
	limiter              *attemptLimiter
	addrKey, identityKey netip.Addr
	proven               bool
}

// allowAttempt counts an attempt unless there were too many. Who has proven to be this user already isn't kept out by what others try.
func (l *attemptLimiter) allowAttempt(addr netip.Addr, identity string, proven bool) (attempt, bool) {
	now := time.Now()
	n := attempt{limiter: l, addrKey: addr, identityKey: hashToAddr(identity), proven: proven}
	if l.addrs.Take(addr, attemptsPerAddr, now) > 0 {
		return n, false
	}
	if !proven && l.identities.Take(n.identityKey, attemptsPerIdentity, now) > 0 {
		return n, false
	}
	return n, true
}

// refund gives back an attempt that was not a wrong password.
func (a attempt) refund() {
	a.limiter.addrs.Refund(a.addrKey, attemptsPerAddr)
	if !a.proven {
		a.limiter.identities.Refund(a.identityKey, attemptsPerIdentity)
	}
}

// hashToAddr makes an identity one of the things that tables count by.
func hashToAddr(identity string) netip.Addr {
	sum := sha256.Sum256([]byte(identity))
	return netip.AddrFrom16([16]byte(sum[:16]))
}

// checkPassword compares a password, when there is time for that.
func (l *attemptLimiter) checkPassword(a *accounts, s credentials) (p person, right, busy bool) {
	if !a.usesBcrypt() {
		p, right = a.check(s.identity, s.password)
		return p, right, false
	}
	defer l.pending.Add(-1)
	if l.pending.Add(1) > maxPending {
		return person{}, false, true
	}
	t := time.NewTimer(waitForCheck)
	defer t.Stop()
	select {
	case l.checks <- struct{}{}:
	case <-t.C:
		return person{}, false, true
	}
	defer func() { <-l.checks }()
	p, right = a.check(s.identity, s.password)
	return p, right, false
}
