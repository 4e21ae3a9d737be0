package topic

import (
	"hash/maphash"
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
	topics, subscriptions atomic.Int64
}

func newMemory() *memory {
	m := &memory{seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].topics = make(map[string][]*signal.Client)
	}
	return m
}

// subscribe adds a client that isn't there yet, within the limits.
func (m *memory) subscribe(topic string, c *signal.Client, l signal.TopicLimits) error {
	if n := m.subscriptions.Add(1); l.Total > 0 && n > int64(l.Total) {
		m.subscriptions.Add(-1)
		return signal.ErrTopics
	}
	s := &m.shards[maphash.String(m.seed, topic)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	there := s.topics[topic]
	if len(there) >= l.Subscribers {
		m.subscriptions.Add(-1)
		return signal.ErrTopicFull
	}
	if len(there) == 0 {
		m.topics.Add(1)
	}
	s.topics[topic] = append(slices.Clip(there), c)
	return nil
}

// unsubscribe removes a client that is there.
func (m *memory) unsubscribe(topic string, c *signal.Client) {
	s := &m.shards[maphash.String(m.seed, topic)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	there := s.topics[topic]
	i := slices.Index(there, c)
	if i < 0 {
		return
	}
	m.subscriptions.Add(-1)
	if len(there) == 1 {
		delete(s.topics, topic)
		m.topics.Add(-1)
		return
	}
	s.topics[topic] = slices.Concat(there[:i], there[i+1:])
}

// subscribers are those of a topic at this moment. The slice is lent.
func (m *memory) subscribers(topic string) []*signal.Client {
	s := &m.shards[maphash.String(m.seed, topic)%shards]
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.topics[topic]
}
