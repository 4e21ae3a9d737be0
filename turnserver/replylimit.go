package turnserver

import (
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"
)

// replyLimit bounds the replies to UDP requests whose source address may be forged
// (RFC 8489 section 16.1.2), so that the server is no use to flood a third party
// with, and so that a flood of requests costs little:
//
//   - for each IPv4 address and each /24, each IPv6 /64 and each /48, a token bucket. They lie in a
//     table of fixed size; prefixes that share a bucket share its tokens.
//   - in total. Above it replies are dropped at random, in proportion: an honest client
//     in a flood gets through with one of its retransmissions.
type replyLimit struct {
	seed    maphash.Seed
	buckets [1 << 14]bucket
	window  atomic.Int64 // which window count belongs to
	count   atomic.Int64 // replies asked for in this window
	last    atomic.Int64 // and in the one before
}

const (
	// repliesBurst is how many seconds' worth a prefix may draw at once.
	repliesBurst = 10
	replyWindow  = int64(100 * time.Millisecond)
)

func newReplyLimit() *replyLimit { return &replyLimit{seed: maphash.MakeSeed()} }

// allow takes a token for a reply to a; now is the server's clock.
func (r *replyLimit) allow(a netip.Addr, now int64, l *limits) bool {
	cost := int64(time.Second) / int64(l.RepliesPerPrefix)
	return r.bucket(prefix(a, 32, 64)).take(now, cost, cost*int64(l.RepliesPerPrefix)*repliesBurst) &&
		r.bucket(prefix(a, 24, 48)).take(now, cost, cost*int64(l.RepliesPerPrefix)*repliesBurst) &&
		r.inTotal(now, int64(l.Replies))
}

func (r *replyLimit) bucket(p netip.Prefix) *bucket {
	key := p.Addr().As16()
	key[15] ^= byte(p.Bits()) // a /24 and its first address are two
	return &r.buckets[maphash.Bytes(r.seed, key[:])%uint64(len(r.buckets))]
}

// inTotal drops in proportion to how far the last window, or this one, is above the rate.
func (r *replyLimit) inTotal(now, perSecond int64) bool {
	window := now / replyWindow
	if old := r.window.Load(); old != window && r.window.CompareAndSwap(old, window) {
		count := r.count.Swap(0)
		if old != window-1 {
			count = 0 // there was a quiet window in between
		}
		r.last.Store(count)
	}
	allowed := perSecond * replyWindow / int64(time.Second)
	asked := max(r.count.Add(1), r.last.Load())
	return asked <= allowed || rand.Int64N(asked) < allowed
}
