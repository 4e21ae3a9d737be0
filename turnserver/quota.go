package turnserver

import (
	"net/netip"
	"sync"

	"icebox/turnserver/credential"
	"icebox/turnserver/limit"
	"icebox/turnserver/wire"
)

// quota counts live allocations. It is asked once for each Allocate, never for a packet.
type quota struct {
	mu    sync.Mutex
	total int
	users shares[accountKey]
	addrs shares[netip.Prefix]
	// origins are the addresses that credentials were minted for.
	origins shares[string]
}

// accountKey is whose allocations are counted together. A user minted for here and
// a static one of the same name are two.
type accountKey struct {
	kind credential.Kind
	user string
}

// share is what sessions of one user, or of one address, share.
type share struct {
	allocations int // guarded by the quota's mu
	pipe        pipe
}

// shares are those in use.
type shares[K comparable] map[K]*share

// full tells whether key has its fill of allocations.
func (m shares[K]) full(key K, most int) bool {
	s := m[key]
	return s != nil && s.allocations >= most
}

func (m shares[K]) take(key K) *share {
	s := m[key]
	if s == nil {
		s = new(share)
		m[key] = s
	}
	s.allocations++
	return s
}

func (m shares[K]) giveBack(key K, s *share) {
	if s.allocations--; s.allocations == 0 {
		delete(m, key)
	}
}

func newQuota() *quota {
	return &quota{users: make(shares[accountKey]), addrs: make(shares[netip.Prefix]), origins: make(shares[string])}
}

// slot is one allocation taken from the quotas.
type slot struct {
	quota *quota

	userKey   accountKey
	clientKey netip.Prefix
	originKey string

	user, client *share
	origin       *share // nil where the credential was minted for no address
}

// reserve takes one allocation from each quota, or says which code refuses it. The
// slot is held until it is released, once.
func (q *quota) reserve(id credential.Identity, client netip.Addr, l *limits) (*slot, wire.Code) {
	s := &slot{quota: q, userKey: accountKey{id.Kind, id.User}, clientKey: limit.ClientPrefix(client), originKey: id.Origin}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.total >= l.AllocationsTotal:
		return nil, wire.InsufficientCapacity
	case q.users.full(s.userKey, l.AllocationsPerUser), q.addrs.full(s.clientKey, l.AllocationsPerAddr),
		q.origins.full(s.originKey, l.AllocationsPerAddr):
		return nil, wire.AllocationQuotaReached
	}
	q.total++
	s.user, s.client = q.users.take(s.userKey), q.addrs.take(s.clientKey)
	if s.originKey != "" {
		s.origin = q.origins.take(s.originKey)
	}
	return s, 0
}

func (s *slot) release() {
	q := s.quota
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total--
	q.users.giveBack(s.userKey, s.user)
	q.addrs.giveBack(s.clientKey, s.client)
	if s.origin != nil {
		q.origins.giveBack(s.originKey, s.origin)
	}
}

// pass takes size bytes out of what user and addresses share, in the direction that pick chooses.
func (s *slot) pass(now int64, size int, pick func(*pipe) *limit.Bucket, l *limits) bool {
	return pick(&s.user.pipe).TakeBytes(now, size, l.BandwidthPerUser) &&
		pick(&s.client.pipe).TakeBytes(now, size, l.BandwidthPerAddr) &&
		(s.origin == nil || pick(&s.origin.pipe).TakeBytes(now, size, l.BandwidthPerAddr))
}
