package pocketbase

import (
	"crypto/sha256"
	"net/netip"
	"sync/atomic"
	"time"

	"icebox/signal/rate"
)

// Limits on wrong passwords. An attempt with the right password is not counted, see refund.
var (
	attemptsPerAddr     = rate.PerMinute(30)
	attemptsPerIdentity = rate.Rate{PerSecond: 1, Burst: 100}
)

const (
	maxAttemptKeys = 1 << 14         // addresses, and identities, that are counted at the same time
	maxChecks      = 2               // bcrypt comparisons that run at the same time
	maxPending     = 16              // sign-ins that run a bcrypt comparison or wait for one
	waitForCheck   = 5 * time.Second // how long a sign-in waits for its comparison to start
)

// attemptLimiter limits how many passwords a client can guess and how much CPU time their comparison takes. It is safe for
// concurrent use.
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

// attempt is a sign-in attempt that was counted.
type attempt struct {
	limiter              *attemptLimiter
	addrKey, identityKey netip.Addr
	proven               bool // not counted for the identity
}

// allowAttempt counts a sign-in attempt for the address and the identity, and reports whether it is within the limits. If
// proven is true, the client has already shown a token of this identity; The attempt then does not count for the identity,
// so attempts from other addresses cannot lock this client out.
func (l *attemptLimiter) allowAttempt(addr netip.Addr, identity string, proven bool) (attempt, bool) {
	now := time.Now()
	n := attempt{limiter: l, addrKey: addr, identityKey: hashToAddr(identity), proven: proven}
	if l.addrs.TakeToken(addr, attemptsPerAddr, now) > 0 {
		return n, false
	}
	if !proven && l.identities.TakeToken(n.identityKey, attemptsPerIdentity, now) > 0 {
		return n, false
	}
	return n, true
}

// refund undoes allowAttempt for an attempt whose password was not wrong.
func (a attempt) refund() {
	a.limiter.addrs.Refund(a.addrKey, attemptsPerAddr)
	if !a.proven {
		a.limiter.identities.Refund(a.identityKey, attemptsPerIdentity)
	}
}

// hashToAddr turns an identity into an address, because addresses are the keys of a rate.Table.
func hashToAddr(identity string) netip.Addr {
	sum := sha256.Sum256([]byte(identity))
	return netip.AddrFrom16([16]byte(sum[:16]))
}

// checkPassword returns the user and reports whether the password is right. If bcrypt is needed, it blocks until a
// comparison may run. busy is true if too many sign-ins are pending or the wait was too long; then nothing has been
// compared.
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
