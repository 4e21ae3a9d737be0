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

// memory knows who has subscribed to what, in one process. Topics are spread over shards with a lock each.
type memory struct {
	seed   maphash.Seed
	shards [shards]struct {
		mu sync.RWMutex
		// topics have their subscribers, in a slice that is replaced as a whole, because it is read for every publication.
		topics map[string][]*signal.Client
	}
	topics atomic.Int64

	mu            sync.Mutex // of what follows; held by who has a shard's lock, or none
	subscriptions int
	addrs         map[netip.Addr]int // subscriptions of each
}

func newMemory() *memory {
	m := &memory{seed: maphash.MakeSeed(), addrs: make(map[netip.Addr]int)}
	for i := range m.shards {
		m.shards[i].topics = make(map[string][]*signal.Client)
	}
	return m
}

// subscribe adds a client that isn't there yet, within the limits.
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

// countSubscription counts a subscription of a client, unless that is one too many.
func (m *memory) countSubscription(c *signal.Client, l signal.TopicLimits) error {
	a := signal.AddrKey(c.Visitor().Addr)
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

// uncountSubscription is the inverse of count.
func (m *memory) uncountSubscription(c *signal.Client) {
	a := signal.AddrKey(c.Visitor().Addr)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.subscriptions--
	if m.addrs[a]--; m.addrs[a] == 0 {
		delete(m.addrs, a)
	}
}

// total is how many subscriptions there are.
func (m *memory) total() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.subscriptions
}

// unsubscribe removes a client that is there.
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

// subscribers are those of a topic at this moment. The slice is lent.
func (m *memory) subscribers(topic string) []*signal.Client {
	s := &m.shards[maphash.String(m.seed, topic)%shards]
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.topics[topic]
}
