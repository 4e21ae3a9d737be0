package broker

import (
	"context"
	"sync/atomic"
)

// memoryBroker is one node's handle of a Memory.
type memoryBroker struct {
	engine *Memory
	self   ID
	left   atomic.Bool
}

// claimRounds is how many holders a claim probes before it gives up. It probes a further holder if another client gets the
// name during a probe.
const claimRounds = 3

func (b *memoryBroker) Claim(ctx context.Context, name string, client ID) error {
	if b.left.Load() {
		return ErrLeft
	}
	var (
		newcomer = Addr{Node: b.self, Client: client}
		dead     = newcomer // the holder that did not answer; newcomer means none yet
	)
	for range claimRounds {
		holder, ok := b.engine.claimIfFree(name, newcomer, dead)
		if ok {
			b.evict(dead, newcomer)
			return nil
		}
		if b.alive(ctx, holder) {
			return ErrTaken
		}
		if err := ctx.Err(); err != nil {
			return err // the probe was interrupted, so the holder may be alive
		}
		dead = holder
	}
	return ErrTaken
}

func (b *memoryBroker) Local() bool { return true }

func (b *memoryBroker) TryClaim(name string, client ID) bool {
	if b.left.Load() {
		return false
	}
	newcomer := Addr{Node: b.self, Client: client}
	_, ok := b.engine.claimIfFree(name, newcomer, newcomer)
	return ok
}

func (b *memoryBroker) alive(ctx context.Context, a Addr) bool {
	n, ok := b.engine.node(a.Node)
	return ok && n.Probe(ctx, a.Client)
}

func (b *memoryBroker) evict(dead, newcomer Addr) {
	if dead == newcomer {
		return
	}
	if n, ok := b.engine.node(dead.Node); ok {
		n.Evict(dead.Client)
	}
}

func (b *memoryBroker) Release(_ context.Context, name string, client ID) error {
	if b.left.Load() {
		return ErrLeft
	}
	b.engine.releaseName(name, Addr{Node: b.self, Client: client})
	return nil
}

func (b *memoryBroker) Find(_ context.Context, name string) (Addr, error) {
	if b.left.Load() {
		return Addr{}, ErrLeft
	}
	s := b.engine.shard(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	holder, ok := s.holders[name]
	if !ok {
		return Addr{}, ErrOffline
	}
	return holder, nil
}

func (b *memoryBroker) Route(_ context.Context, to Addr, m Message) error {
	if b.left.Load() {
		return ErrLeft
	}
	n, ok := b.engine.node(to.Node)
	if !ok {
		return ErrOffline
	}
	return n.Deliver(to.Client, m)
}

func (b *memoryBroker) Leave(context.Context) error {
	if b.left.Swap(true) {
		return nil
	}
	b.engine.changeNodes(func(nodes map[ID]Node) { delete(nodes, b.self) })
	for i := range b.engine.names {
		b.engine.releaseNode(&b.engine.names[i], b.self)
	}
	return nil
}
