package broker

import (
	"context"
	"slices"
)

// tell lets the watchers of a name know whether it is held. The caller holds the shard's lock, so that they
// hear of changes in order.
func (m *Memory) tell(s *shard, name string, held bool) {
	for _, w := range s.watchers[name] {
		m.tellOne(w, name, held)
	}
}

func (m *Memory) tellOne(w Addr, name string, held bool) {
	if n, ok := m.node(w.Node); ok {
		n.Presence(w.Client, name, held)
	}
}

// unwatch removes watchers of a name. The caller holds the lock.
func (s *shard) unwatch(name string, which func(Addr) bool) {
	left := slices.DeleteFunc(s.watchers[name], which)
	if len(left) == 0 {
		delete(s.watchers, name)
		return
	}
	s.watchers[name] = left
}

func (b *member) Watch(_ context.Context, name string, client ID) error {
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
	b.engine.tellOne(watcher, name, held)
	return nil
}

func (b *member) Unwatch(_ context.Context, name string, client ID) error {
	if b.left.Load() {
		return ErrLeft
	}
	s, watcher := b.engine.shard(name), Addr{Node: b.self, Client: client}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unwatch(name, func(a Addr) bool { return a == watcher })
	return nil
}

func (b *member) Transfer(_ context.Context, name string, from, to ID) (bool, error) {
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
