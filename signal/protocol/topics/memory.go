package topics

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"icebox/signal"
)

const shards = 64

// memory stores the subscriptions of one process. Topics are spread over shards, each with its own lock, so that
// publications to different topics seldom wait for each other.
type memory struct {
	seed   maphash.Seed
	shards [shards]struct {
		mu sync.RWMutex
		// topics maps each topic to its subscribers. A slice is never modified, only replaced, so publishers can read it without a
		// lock.
		topics map[string][]*signal.Client
	}
	topics atomic.Int64 // topics in all shards

	// mu guards the fields below. It may be locked while a shard's lock is held, but not the other way round.
	mu            sync.Mutex
	subscriptions int
	addrs         map[netip.Addr]int // subscriptions by address
}

func newMemory() *memory {
	m := &memory{seed: maphash.MakeSeed(), addrs: make(map[netip.Addr]int)}
	for i := range m.shards {
		m.shards[i].topics = make(map[string][]*signal.Client)
	}
	return m
}

// subscribe implements subscriptions.
func (m *memory) subscribe(topic string, c *signal.Client, l signal.TopicLimits) error {
	s := &m.shards[maphash.String(m.seed, topic)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	subscribers := s.topics[topic]
	if len(subscribers) >= l.Subscribers {
		return signal.ErrTopicFull
	}
	if err := m.countSubscription(c, l); err != nil {
		return err
	}
	if len(subscribers) == 0 {
		m.topics.Add(1)
	}
	s.topics[topic] = append(slices.Clip(subscribers), c)
	return nil
}

// countSubscription counts a new subscription of a client, or returns the error of the limit that it would exceed.
func (m *memory) countSubscription(c *signal.Client, l signal.TopicLimits) error {
	a := c.AddrKey()
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case l.Total > 0 && m.subscriptions >= l.Total:
		return signal.ErrTopics
	case l.PerAddr > 0 && m.addrs[a] >= l.PerAddr:
		return signal.ErrTopicAddr
	}
	m.subscriptions++
	m.addrs[a]++
	return nil
}

// uncountSubscription undoes countSubscription.
func (m *memory) uncountSubscription(c *signal.Client) {
	a := c.AddrKey()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.subscriptions--
	if m.addrs[a]--; m.addrs[a] == 0 {
		delete(m.addrs, a)
	}
}

// total returns the number of subscriptions.
func (m *memory) total() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.subscriptions
}

// unsubscribe implements subscriptions.
func (m *memory) unsubscribe(topic string, c *signal.Client) {
	s := &m.shards[maphash.String(m.seed, topic)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	subscribers := s.topics[topic]
	i := slices.Index(subscribers, c)
	if i < 0 {
		return
	}
	m.uncountSubscription(c)
	if len(subscribers) == 1 {
		delete(s.topics, topic)
		m.topics.Add(-1)
		return
	}
	s.topics[topic] = slices.Concat(subscribers[:i], subscribers[i+1:])
}

// subscribers implements subscriptions. The slice is a snapshot that later changes do not affect.
func (m *memory) subscribers(topic string) []*signal.Client {
	s := &m.shards[maphash.String(m.seed, topic)%shards]
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.topics[topic]
}
