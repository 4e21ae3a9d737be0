package limit

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// AuthFailures limits how often one client address may fail to authenticate as one user: a burst of 100 times, and 10
// times a second. Above the limit the caller drops requests of that address for that user without checking the
// password, because a reply would reveal a correct password.
//
// Other users behind the same NAT are not affected. An attacker at one address cannot lock out the same user at another
// address, because the caller counts only addresses that have received a nonce. Each pair of address and user has a
// bucket in a table of fixed size.
type AuthFailures struct {
	seed    maphash.Seed
	buckets [1 << 16]Bucket
}

const (
	failureCost  = int64(time.Second) / 10
	failureBurst = 100 * failureCost
)

// NewAuthFailures returns an AuthFailures that has counted nothing.
func NewAuthFailures() *AuthFailures { return &AuthFailures{seed: maphash.MakeSeed()} }

// Allow reports whether client may try to authenticate as username.
func (f *AuthFailures) Allow(client netip.Addr, username []byte, now int64) bool {
	return f.bucket(client, username).Has(now, failureCost, failureBurst)
}

// Count counts one failed authentication.
func (f *AuthFailures) Count(client netip.Addr, username []byte, now int64) {
	f.bucket(client, username).Take(now, failureCost, failureBurst)
}

func (f *AuthFailures) bucket(client netip.Addr, username []byte) *Bucket {
	var h maphash.Hash
	h.SetSeed(f.seed)
	ip := ClientPrefix(client).Addr().As16()
	_, _ = h.Write(ip[:])    // never fails
	_, _ = h.Write(username) // never fails
	return &f.buckets[h.Sum64()%uint64(len(f.buckets))]
}
