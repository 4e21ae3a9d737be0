package limit

import (
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"
)

// Replies limits the replies to UDP requests whose source address may be forged (RFC 8489 section 16.1.2). So an
// attacker cannot use the server to flood a third party, and a flood of requests costs the server little. There are two
// limits:
//
//   - A token bucket for each IPv4 address and each /24, and for each IPv6 /64 and each /48. The buckets are in a table of
//     fixed size; prefixes that hash to the same bucket share its tokens.
//   - A limit for all replies together. Above it, Allow refuses requests at random, so that during a flood an honest
//     client still gets a reply to one of its retransmissions.
type Replies struct {
	seed     maphash.Seed
	buckets  [1 << 14]Bucket
	window   atomic.Int64 // the number of the current window
	count    atomic.Int64 // requests in the current window
	previous atomic.Int64 // requests in the window before it
}

const (
	// repliesBurst is the burst of a prefix in seconds: it may get as many replies at once as its rate allows in that
	// time.
	repliesBurst = 10
	replyWindow  = int64(100 * time.Millisecond)
)

// NewReplies returns a Replies whose buckets are full.
func NewReplies() *Replies { return &Replies{seed: maphash.MakeSeed()} }

// Allow takes a token for a reply to a and reports whether there was one. perPrefix and total are replies per second, for
// each prefix and for all of them; both are positive.
func (r *Replies) Allow(a netip.Addr, now int64, perPrefix, total int) bool {
	cost := int64(time.Second) / int64(perPrefix)
	burst := cost * int64(perPrefix) * repliesBurst
	return r.bucket(prefix(a, 32, 64)).Take(now, cost, burst) &&
		r.bucket(prefix(a, 24, 48)).Take(now, cost, burst) &&
		r.allowInTotal(now, int64(total))
}

func (r *Replies) bucket(p netip.Prefix) *Bucket {
	key := p.Addr().As16()
	key[15] ^= byte(p.Bits()) // a /24 and its first address have different buckets
	return &r.buckets[maphash.Bytes(r.seed, key[:])%uint64(len(r.buckets))]
}

// allowInTotal refuses a random share of the requests, so that the rest is within the limit. It takes the count of the
// current window or of the one before it, whichever is greater.
func (r *Replies) allowInTotal(now, perSecond int64) bool {
	window := now / replyWindow
	if old := r.window.Load(); old != window && r.window.CompareAndSwap(old, window) {
		count := r.count.Swap(0)
		if old != window-1 {
			count = 0 // the window in between had no requests
		}
		r.previous.Store(count)
	}
	allowed := perSecond * replyWindow / int64(time.Second)
	asked := max(r.count.Add(1), r.previous.Load())
	return asked <= allowed || rand.Int64N(asked) < allowed
}
