package broker

import (
	"context"
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
)

const shards = 64

// Memory is the engine of a single process. Names are distributed over shards, each with its own lock, so that clients
// seldom wait for the same lock. Several hubs may join it; tests use that in place of several processes.
type Memory struct {
	seed  maphash.Seed
	names [shards]shard
	nodes atomic.Pointer[map[ID]Node] // replaced as a whole, so that routing a message needs no lock
	mu    sync.Mutex                  // serializes changes of nodes
}

type shard struct {
	mu      sync.RWMutex
	holders map[string]Addr

	// watchers maps a name, held or free, to its watchers. Few names have watchers, and those have few.
	watchers map[string][]Addr
}

// NewMemory returns an empty engine.
func NewMemory() *Memory {
	m := &Memory{seed: maphash.MakeSeed()}
	m.nodes.Store(&map[ID]Node{})
	for i := range m.names {
		m.names[i].holders = make(map[string]Addr)
		m.names[i].watchers = make(map[string][]Addr)
	}
	return m
}

// Join implements [Engine]. It never fails.
func (m *Memory) Join(_ context.Context, n Node) (Broker, ID, error) {
	self := NewID()
	m.changeNodes(func(nodes map[ID]Node) { nodes[self] = n })
	return &memoryBroker{engine: m, self: self}, self, nil
}

func (m *Memory) shard(name string) *shard {
	return &m.names[maphash.String(m.seed, name)%shards]
}

func (m *Memory) node(id ID) (Node, bool) {
	n, ok := (*m.nodes.Load())[id]
	return n, ok
}

func (m *Memory) changeNodes(change func(map[ID]Node)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	nodes := maps.Clone(*m.nodes.Load())
	change(nodes)
	m.nodes.Store(&nodes)
}

// claimIfFree gives name to newcomer if the name is free, or is held by newcomer or by expected. Otherwise it returns the
// holder and false.
func (m *Memory) claimIfFree(name string, newcomer, expected Addr) (holder Addr, ok bool) {
	s := m.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	holder, held := s.holders[name]
	if held && holder != newcomer && holder != expected {
		return holder, false
	}
	s.holders[name] = newcomer
	if !held {
		m.notifyWatchers(s, name, true)
	}
	return newcomer, true
}

// releaseName frees name if holder holds it.
func (m *Memory) releaseName(name string, holder Addr) {
	s := m.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holders[name] == holder {
		delete(s.holders, name)
		m.notifyWatchers(s, name, false)
	}
}

// releaseNode frees the names in a shard that clients of a node hold, and removes those clients as watchers.
func (m *Memory) releaseNode(s *shard, node ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.watchers {
		s.unwatch(name, func(a Addr) bool { return a.Node == node })
	}
	for name, holder := range s.holders {
		if holder.Node == node {
			delete(s.holders, name)
			m.notifyWatchers(s, name, false)
		}
	}
}
