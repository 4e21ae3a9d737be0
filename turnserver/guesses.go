package turnserver

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// guesses bound how often an address may be wrong about one user: a hundred times at once and
// ten times a second. Then its requests for that user go unread and unanswered, right or wrong, for an
// answer would tell a right guess. Others behind the same NAT have other users; and nobody can be locked out
// from elsewhere, for only who has got a nonce at an address is counted. Address and user share a bucket of a table of fixed size.
type guesses struct {
	seed    maphash.Seed
	buckets [1 << 16]bucket
}

const (
	guessCost  = int64(time.Second) / 10
	guessBurst = 100 * guessCost
)

func newGuesses() *guesses { return &guesses{seed: maphash.MakeSeed()} }

func (g *guesses) bucket(client netip.Addr, username []byte) *bucket {
	var h maphash.Hash
	h.SetSeed(g.seed)
	ip := clientPrefix(client).Addr().As16()
	_, _ = h.Write(ip[:])    // never fails
	_, _ = h.Write(username) // likewise
	return &g.buckets[h.Sum64()%uint64(len(g.buckets))]
}
