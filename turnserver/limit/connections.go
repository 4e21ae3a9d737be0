package limit

import (
	"net/netip"
	"sync"
)

// Connections limits how many TCP, TLS and DTLS connections each client address and all clients together may have.
//
// When the total is reached, a new connection replaces a random connection that has no allocation. If an attacker opens
// many connections to keep other clients out, they mostly replace each other. They rarely replace the connection of an
// honest client, because it has an allocation after a few round trips.
type Connections struct {
	mu      sync.Mutex
	total   int
	clients map[netip.Prefix]int
	idle    map[*Connection]struct{} // the connections without an allocation
}

// Connection is one counted connection.
type Connection struct {
	counted  *Connections
	client   netip.Prefix // invalid once the connection is not counted any more
	closeNow func()
}

// NewConnections returns a Connections that counts none.
func NewConnections() *Connections {
	return &Connections{clients: make(map[netip.Prefix]int), idle: make(map[*Connection]struct{})}
}

// Add counts a connection of client. closeNow closes the connection at once; Evict calls it. perClient and total are the
// limits for one client address and for all of them.
//
// added is nil if there is no room. evicted is not nil if added replaces another connection. That one is no longer
// counted, and the caller must call its Evict method.
func (c *Connections) Add(client netip.Addr, perClient, total int, closeNow func()) (added, evicted *Connection) {
	added = &Connection{counted: c, client: ClientPrefix(client), closeNow: closeNow}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clients[added.client] >= perClient {
		return nil, nil
	}
	if c.total >= total {
		if evicted = c.anyIdle(); evicted == nil {
			return nil, nil
		}
		c.remove(evicted)
	}
	c.total++
	c.clients[added.client]++
	c.idle[added] = struct{}{}
	return added, evicted
}

// Len returns the number of connections.
func (c *Connections) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// anyIdle returns a connection without an allocation, at random because maps iterate in random order. The caller holds mu.
func (c *Connections) anyIdle() *Connection {
	for x := range c.idle {
		return x
	}
	return nil
}

// remove stops counting x. The caller holds mu.
func (c *Connections) remove(x *Connection) {
	if !x.client.IsValid() {
		return
	}
	c.total--
	if c.clients[x.client]--; c.clients[x.client] == 0 {
		delete(c.clients, x.client)
	}
	delete(c.idle, x)
	x.client = netip.Prefix{}
}

// Remove stops counting the connection. Further calls do nothing.
func (x *Connection) Remove() {
	x.counted.mu.Lock()
	defer x.counted.mu.Unlock()
	x.counted.remove(x)
}

// Evict closes the connection. The caller of Add calls it on the connection that Add returned as evicted.
func (x *Connection) Evict() { x.closeNow() }

// SetAllocated records whether the connection has an allocation. While it has one, no new connection replaces it.
func (x *Connection) SetAllocated(allocated bool) {
	x.counted.mu.Lock()
	defer x.counted.mu.Unlock()
	switch {
	case allocated:
		delete(x.counted.idle, x)
	case x.client.IsValid():
		x.counted.idle[x] = struct{}{}
	}
}
