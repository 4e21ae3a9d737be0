package turnserver

import (
	"net/netip"
	"sync"

	"icebox/turnserver/credential"
	"icebox/turnserver/limit"
	"icebox/turnserver/wire"
)

// quota counts live allocations. Only the start and the end of an allocation lock it; relaying a packet does not.
type quota struct {
	mu    sync.Mutex
	total int
	users shares[accountKey]
	addrs shares[netip.Prefix]
	// origins are the client addresses that credentials were minted for.
	origins shares[string]
}

// accountKey identifies the user for whom allocations are counted. A user with a minted credential and a static user of the
// same name are different users.
type accountKey struct {
	kind credential.Kind
	user string
}

// share is the state that all sessions of one user, or of one address, have in common.
type share struct {
	allocations int // guarded by the quota's mu
	bandwidth   bandwidth
}

// shares holds a share for each key that has allocations.
type shares[K comparable] map[K]*share

// full reports whether key has max allocations or more.
func (m shares[K]) full(key K, max int) bool {
	s := m[key]
	return s != nil && s.allocations >= max
}

func (m shares[K]) add(key K) *share {
	s := m[key]
	if s == nil {
		s = new(share)
		m[key] = s
	}
	s.allocations++
	return s
}

func (m shares[K]) remove(key K, s *share) {
	if s.allocations--; s.allocations == 0 {
		delete(m, key)
	}
}

func newQuota() *quota {
	return &quota{users: make(shares[accountKey]), addrs: make(shares[netip.Prefix]), origins: make(shares[string])}
}

// quotaEntry is one allocation counted in a quota.
type quotaEntry struct {
	quota *quota

	userKey   accountKey
	clientKey netip.Prefix
	originKey string

	user, client *share
	origin       *share // nil if the credential was not minted for an address
}

// reserve counts one allocation for the user, the client's address and the credential's origin. If one of the three has
// reached its limit, it counts nothing and returns the code that refuses the Allocate. The entry counts until the
// caller calls its release method, exactly once.
func (q *quota) reserve(id credential.Identity, client netip.Addr, l *limits) (*quotaEntry, wire.Code) {
	s := &quotaEntry{quota: q, userKey: accountKey{id.Kind, id.User}, clientKey: limit.ClientPrefix(client), originKey: id.Origin}
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
	s.user, s.client = q.users.add(s.userKey), q.addrs.add(s.clientKey)
	if s.originKey != "" {
		s.origin = q.origins.add(s.originKey)
	}
	return s, 0
}

func (s *quotaEntry) release() {
	q := s.quota
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total--
	q.users.remove(s.userKey, s.user)
	q.addrs.remove(s.clientKey, s.client)
	if s.origin != nil {
		q.origins.remove(s.originKey, s.origin)
	}
}

// pass is mayPass for the buckets of the user and the addresses.
func (s *quotaEntry) pass(now int64, size int, direction func(*bandwidth) *limit.Bucket, l *limits) bool {
	return direction(&s.user.bandwidth).TakeBytes(now, size, l.BandwidthPerUser) &&
		direction(&s.client.bandwidth).TakeBytes(now, size, l.BandwidthPerAddr) &&
		(s.origin == nil || direction(&s.origin.bandwidth).TakeBytes(now, size, l.BandwidthPerAddr))
}
