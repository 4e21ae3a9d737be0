package signal

import (
	"context"
	"sync"

	"icebox/signal/broker"
)

// registry holds this hub's clients by ID. IDs are random, so their first byte spreads them evenly over the shards.
type registry struct {
	shards [64]struct {
		mu      sync.RWMutex
		clients map[broker.ID]*Client
	}
}

func (r *registry) init() {
	for i := range r.shards {
		r.shards[i].clients = make(map[broker.ID]*Client)
	}
}

func (r *registry) addClient(c *Client) {
	s := &r.shards[c.id[0]%64]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients[c.id] = c
}

func (r *registry) removeClient(c *Client) {
	s := &r.shards[c.id[0]%64]
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c.id)
}

func (r *registry) get(id broker.ID) (*Client, bool) {
	s := &r.shards[id[0]%64]
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, ok := s.clients[id]
	return c, ok
}

// each calls f for every client. It holds no lock during the calls.
func (r *registry) each(f func(*Client)) {
	var batch []*Client
	for i := range r.shards {
		s := &r.shards[i]
		batch = batch[:0]
		s.mu.RLock()
		for _, c := range s.clients {
			batch = append(batch, c)
		}
		s.mu.RUnlock()
		for _, c := range batch {
			f(c)
		}
	}
}

// node implements broker.Node for a hub.
type node struct{ hub *Hub }

func (n node) Deliver(to broker.ID, m broker.Message) error {
	c, ok := n.hub.clients.get(to)
	if !ok {
		return broker.ErrOffline
	}
	return c.receive(m)
}

func (n node) Probe(ctx context.Context, client broker.ID) bool {
	c, ok := n.hub.clients.get(client)
	if !ok {
		return false
	}
	if c.probe(ctx, n.hub.opts.ProbeWait) {
		return true
	}
	select {
	case <-c.done:
		return false
	default:
	}
	// A client that waits for another transport keeps its name.
	r, ok := c.conn.(Resumable)
	return ok && ctx.Err() == nil && r.DropTransport()
}

func (n node) Presence(client broker.ID, name string, held bool) {
	if c, ok := n.hub.clients.get(client); ok && c.profile.Presence != nil {
		c.Send(c.profile.Presence(c.profile.localName(name), held))
	}
}

func (n node) Evict(client broker.ID) {
	if c, ok := n.hub.clients.get(client); ok {
		c.End(Superseded)
		c.hangUp(n.hub.ctx) // before the new holder of the name can call the same peers
		n.hub.metrics.takeovers.Inc()
	}
}
