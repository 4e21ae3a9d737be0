package turnserver

import (
	"net/netip"
	"sync"
)

// streamLimit counts the connections that clients hold: TCP, TLS and DTLS.
type streamLimit struct {
	mu    sync.Mutex
	total int
	addrs map[netip.Prefix]int
}

func newStreamLimit() *streamLimit { return &streamLimit{addrs: make(map[netip.Prefix]int)} }

// take counts one connection of client, unless it would be one too many.
func (l *streamLimit) take(client netip.Addr, limits *limits) (release func(), ok bool) {
	prefix := clientPrefix(client)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= limits.StreamsTotal || l.addrs[prefix] >= limits.StreamsPerAddr {
		return nil, false
	}
	l.total++
	l.addrs[prefix]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.total--
		decrease(l.addrs, prefix)
	}, true
}
