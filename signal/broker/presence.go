package broker

import (
	"context"
	"slices"
)

// notifyWatchers notifies all watchers of a name whether it is held. The caller holds the shard's lock, so that watchers are
// notified of changes in order.
func (m *Memory) notifyWatchers(s *shard, name string, held bool) {
	for _, w := range s.watchers[name] {
		m.notifyWatcher(w, name, held)
	}
}

func (m *Memory) notifyWatcher(w Addr, name string, held bool) {
	if n, ok := m.node(w.Node); ok {
		n.Presence(w.Client, name, held)
	}
}

// unwatch removes the watchers of a name for which remove returns true. The caller holds the shard's lock.
func (s *shard) unwatch(name string, remove func(Addr) bool) {
	left := slices.DeleteFunc(s.watchers[name], remove)
	if len(left) == 0 {
		delete(s.watchers, name)
		return
	}
	s.watchers[name] = left
}

func (b *memoryBroker) Watch(_ context.Context, name string, client ID) error {
	if b.left.Load() {
		return ErrLeft
	}
	s, watcher := b.engine.shard(name), Addr{Node: b.self, Client: client}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.watchers[name], watcher) {
		s.watchers[name] = append(s.watchers[name], watcher)
	}
	_, held := s.holders[name]
	b.engine.notifyWatcher(watcher, name, held)
	return nil
}

func (b *memoryBroker) Unwatch(_ context.Context, name string, client ID) error {
	if b.left.Load() {
		return ErrLeft
	}
	s, watcher := b.engine.shard(name), Addr{Node: b.self, Client: client}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unwatch(name, func(a Addr) bool { return a == watcher })
	return nil
}

func (b *memoryBroker) Transfer(_ context.Context, name string, from, to ID) (bool, error) {
	if b.left.Load() {
		return false, ErrLeft
	}
	s := b.engine.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holders[name] != (Addr{Node: b.self, Client: from}) {
		return false, nil
	}
	s.holders[name] = Addr{Node: b.self, Client: to}
	return true, nil
}
