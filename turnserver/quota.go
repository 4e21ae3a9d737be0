package turnserver

import (
	"net/netip"
	"sync"

	"icebox/turnserver/credential"
	"icebox/turnserver/wire"
)

// quota counts live allocations. It is asked once for each Allocate, never for a packet.
type quota struct {
	mu       sync.Mutex
	total    int
	accounts map[accountKey]*account
	addrs    map[netip.Prefix]int
	origins  map[string]int // of credentials minted for an address
}

// accountKey is whose allocations are counted together. A user minted for here and
// a static one of the same name are two.
type accountKey struct {
	kind credential.Kind
	user string
}

// account is what the sessions of one user share.
type account struct {
	allocations int // guarded by the quota's mu
	pipe        pipe
}

func newQuota() *quota {
	return &quota{accounts: make(map[accountKey]*account), addrs: make(map[netip.Prefix]int), origins: make(map[string]int)}
}

// clientPrefix is what limits for each client address count by: the address in IPv4, its /64 in IPv6.
func clientPrefix(a netip.Addr) netip.Prefix { return prefix(a, 32, 64) }

// prefix cuts a down to bits4 or bits6, by its family.
func prefix(a netip.Addr, bits4, bits6 int) netip.Prefix {
	bits := bits4
	if a.Is6() {
		bits = bits6
	}
	p, _ := a.Prefix(bits) // fails for no valid address
	return p
}

// slot is one allocation taken from the quotas.
type slot struct {
	quota   *quota
	key     accountKey
	account *account
	client  netip.Prefix
	origin  string
}

// reserve takes one allocation from each quota, or says which code refuses it. The
// slot is held until it is released, once.
func (q *quota) reserve(id credential.Identity, client netip.Addr, l *limits) (*slot, wire.Code) {
	key, from := accountKey{id.Kind, id.User}, clientPrefix(client)
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.accounts[key]
	switch {
	case q.total >= l.AllocationsTotal:
		return nil, wire.InsufficientCapacity
	case a != nil && a.allocations >= l.AllocationsPerUser, q.addrs[from] >= l.AllocationsPerAddr,
		id.Origin != "" && q.origins[id.Origin] >= l.AllocationsPerAddr:
		return nil, wire.AllocationQuotaReached
	}
	if a == nil {
		a = new(account)
		q.accounts[key] = a
	}
	a.allocations++
	q.total++
	q.addrs[from]++
	if id.Origin != "" {
		q.origins[id.Origin]++
	}
	return &slot{quota: q, key: key, account: a, client: from, origin: id.Origin}, 0
}

func (s *slot) release() {
	q := s.quota
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total--
	if s.account.allocations--; s.account.allocations == 0 {
		delete(q.accounts, s.key)
	}
	decrease(q.addrs, s.client)
	if s.origin != "" {
		decrease(q.origins, s.origin)
	}
}

// decrease counts down and forgets keys at 0, so that the map holds the living only.
func decrease[K comparable](m map[K]int, key K) {
	if m[key]--; m[key] <= 0 {
		delete(m, key)
	}
}
