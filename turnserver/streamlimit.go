package turnserver

import (
	"net/netip"
	"sync"
)

// streamLimit counts the connections that clients hold: TCP, TLS and DTLS. An address may
// hold so many. When all addresses together hold as many as they may, a newcomer takes the place
// of some connection without an allocation, picked at random: a crowd that holds
// connections to keep others out pushes out its own, and rarely an honest client, which has
// its allocation after a few round trips.
type streamLimit struct {
	mu        sync.Mutex
	total     int
	addrs     map[netip.Prefix]int
	strangers map[*place]struct{} // those without an allocation
}

// place is one connection's.
type place struct {
	limit  *streamLimit
	prefix netip.Prefix
	end    func() // closes the connection at once
}

func newStreamLimit() *streamLimit {
	return &streamLimit{addrs: make(map[netip.Prefix]int), strangers: make(map[*place]struct{})}
}

// place takes a place for a connection of client, that end closes at once; nil if there
// is none. It is held until it is released.
func (s *Server) place(client netip.Addr, end func()) *place {
	p, evicted := s.streams.take(client, s.limits.Load(), end)
	if evicted != nil {
		evicted.end()
	}
	if evicted != nil || p == nil {
		s.drop(DropConnections)
	}
	return p
}

// take counts one connection of client, unless it would be one too many: then taken is
// nil. evicted, unless it is nil, has to make room for it and be ended by the caller.
func (l *streamLimit) take(client netip.Addr, limits *limits, end func()) (taken, evicted *place) {
	p := &place{limit: l, prefix: clientPrefix(client), end: end}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.addrs[p.prefix] >= limits.StreamsPerAddr {
		return nil, nil
	}
	if l.total >= limits.StreamsTotal {
		if evicted = l.anyStranger(); evicted == nil {
			return nil, nil
		}
		l.forget(evicted) // its place is taken from now on, not when it has ended
	}
	l.total++
	l.addrs[p.prefix]++
	l.strangers[p] = struct{}{}
	return p, evicted
}

// anyStranger picks one at random, as maps do. mu is held.
func (l *streamLimit) anyStranger() *place {
	for p := range l.strangers {
		return p
	}
	return nil
}

// forget gives back what p was counted as. mu is held.
func (l *streamLimit) forget(p *place) {
	if p.prefix.IsValid() {
		l.total--
		decrease(l.addrs, p.prefix)
		delete(l.strangers, p)
		p.prefix = netip.Prefix{}
	}
}

// release gives the place back.
func (p *place) release() {
	p.limit.mu.Lock()
	defer p.limit.mu.Unlock()
	p.limit.forget(p)
}

// keep protects the place from newcomers while there is an allocation.
func (p *place) keep(allocated bool) {
	p.limit.mu.Lock()
	defer p.limit.mu.Unlock()
	switch {
	case allocated:
		delete(p.limit.strangers, p)
	case p.prefix.IsValid():
		p.limit.strangers[p] = struct{}{}
	}
}

// decrease counts down and forgets keys at 0, so that the map holds the living only.
func decrease[K comparable](m map[K]int, key K) {
	if m[key]--; m[key] <= 0 {
		delete(m, key)
	}
}
