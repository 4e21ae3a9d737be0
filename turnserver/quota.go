package turnserver

import (
	"net/netip"
	"sync"

	"icebox/turnserver/credential"
	"icebox/turnserver/wire"
)

// quota counts live allocations. It is asked once for each Allocate, never for a packet.
type quota struct {
	mu    sync.Mutex
	total int
	users map[account]int
	addrs map[netip.Prefix]int
}

// account is whose allocations are counted together. A user minted for here and a
// static one of the same name are two.
type account struct {
	kind credential.Kind
	user string
}

func newQuota() *quota {
	return &quota{users: make(map[account]int), addrs: make(map[netip.Prefix]int)}
}

// clientPrefix is what limits for each client address count by: the address in IPv4, its /64 in IPv6.
func clientPrefix(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails for no valid address
	return p
}

// reserve takes one allocation from each quota, or says which code refuses it. The
// reservation holds until release is called, once.
func (q *quota) reserve(user account, client netip.Addr, l *limits) (release func(), code wire.Code) {
	prefix := clientPrefix(client)
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.total >= l.AllocationsTotal:
		return nil, wire.InsufficientCapacity
	case q.users[user] >= l.AllocationsPerUser, q.addrs[prefix] >= l.AllocationsPerAddr:
		return nil, wire.AllocationQuotaReached
	}
	q.total++
	q.users[user]++
	q.addrs[prefix]++
	return func() { q.release(user, prefix) }, 0
}

func (q *quota) release(user account, prefix netip.Prefix) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.total--
	decrease(q.users, user)
	decrease(q.addrs, prefix)
}

// decrease counts down and forgets keys at 0, so that the map holds the living only.
func decrease[K comparable](m map[K]int, key K) {
	if m[key]--; m[key] <= 0 {
		delete(m, key)
	}
}
