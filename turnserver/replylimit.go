package turnserver

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// Replies that a stranger's address may draw from us: a second, and at once.
const (
	repliesPerSecond = 50
	repliesBurst     = 500
)

// replyLimit bounds the replies to unauthenticated UDP for each IPv4 address or IPv6
// /64, so that a forged source can't be flooded with them (RFC 8489 section 16.1.2).
// It is a table of fixed size: addresses that share a bucket share its tokens.
type replyLimit struct {
	seed    maphash.Seed
	buckets [1 << 14]atomic.Int64
}

func newReplyLimit() *replyLimit { return &replyLimit{seed: maphash.MakeSeed()} }

// A bucket holds the time at which it will have been full again, in the manner of
// the generic cell rate algorithm: each reply moves it by the time of one token.
const (
	replyCost  = int64(time.Second) / repliesPerSecond
	replySlack = replyCost * repliesBurst
)

// allow takes a token for a; now is the server's clock.
func (l *replyLimit) allow(a netip.Addr, now int64) bool {
	p := clientPrefix(a).Addr().As16()
	b := &l.buckets[maphash.Bytes(l.seed, p[:])%uint64(len(l.buckets))]
	for {
		old := b.Load()
		next := max(old, now) + replyCost
		if next-now > replySlack {
			return false
		}
		if b.CompareAndSwap(old, next) {
			return true
		}
	}
}
