package signal

import (
	"context"

	"icebox/signal/broker"
)

// Recipient is who a message is for: the client at an address, or, where that is zero, who holds the name.
type Recipient struct {
	Name string
	Addr broker.Addr
}

// SendTo sends a message of any kind, whose sender it fills in. Offers and notes make a pair; the other kinds
// pass within one. Unlike Offer and Tell it needs no name. Only the reader may call it. The error is an *Error.
func (c *Client) SendTo(to Recipient, m broker.Message) error {
	peer, err := c.resolve(to, m.Kind)
	if err != nil {
		return c.hub.metrics.countRefusal(toRefusal(err))
	}
	opens := m.Kind == broker.Offer || m.Kind == broker.Note
	c.mu.Lock()
	m.From, m.FromName, m.Gone = c.addr(), c.name, false
	known := c.pairs.indexOf(peer) >= 0
	switch {
	case opens:
		c.pairs.addPair(pair{name: to.Name, addr: peer, spoke: true}, c.maxPairs())
	case !known:
		c.mu.Unlock()
		return c.hub.metrics.countRefusal(ErrNotPaired)
	case m.Kind == broker.Leave:
		c.pairs.endPair(peer)
	case m.Kind == broker.Answer:
		c.pairs[c.pairs.indexOf(peer)].spoke = true
	}
	c.mu.Unlock()
	err = c.route(c.hub.ctx, peer, m)
	if err != nil && opens && !known {
		c.forgetPair(peer)
	}
	return c.routeError(peer, err)
}

// resolve returns the address of a recipient. What passes within pairs goes to the latest one of the name,
// whoever holds the name by now.
func (c *Client) resolve(to Recipient, kind broker.Kind) (broker.Addr, error) {
	if !to.Addr.IsZero() {
		return to.Addr, nil
	}
	if kind == broker.Offer || kind == broker.Note {
		return c.findName(c.hub.ctx, to.Name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.pairs.latestNamed(to.Name)
	if !ok {
		return broker.Addr{}, ErrNotPaired
	}
	return p.addr, nil
}

// Forward queues a frame that another client caused, against whom it counts while it waits. Any goroutine
// may call it. The error is an *Error.
func (c *Client) Forward(from broker.ID, frame []byte) error {
	if err := c.enqueue(item{from: from, data: frame}); err != nil {
		return toRefusal(err)
	}
	return nil
}

// Addr returns where others reach the client.
func (c *Client) Addr() broker.Addr { return c.addr() }

// Conn returns the connection that the client was made of.
func (c *Client) Conn() Conn { return c.conn }

// TakeOver moves the name of another client of this hub to this one, which has none, without a moment in
// between, and reports whether there was one to move. Only the reader may call it.
func (c *Client) TakeOver(old *Client) bool {
	name := old.Name()
	if name == "" || c.visitor.Grant.Name != "" && c.visitor.Grant.Name != name {
		return false
	}
	ctx, cancel := context.WithTimeout(c.hub.ctx, c.hub.opts.ClaimWait)
	defer cancel()
	if moved, err := c.hub.broker.Transfer(ctx, c.globalName(name), old.id, c.id); err != nil || !moved {
		return false
	}
	c.mu.Lock()
	c.name = name
	c.mu.Unlock()
	c.hub.metrics.signedIn.Inc()
	c.hub.metrics.signIns.Inc()
	return true
}

// Watch tells the client, by [Profile.Presence], whether somebody holds the names, now and whenever that changes.
// Only the reader may call it. The error is an *Error, and none of the names is watched then.
func (c *Client) Watch(names []string) error {
	for _, n := range names {
		if !ValidName(n) {
			return c.hub.metrics.countRefusal(ErrBadName)
		}
	}
	c.mu.Lock()
	if c.watched == nil {
		c.watched = make(map[string]struct{})
	}
	added := make([]string, 0, len(names))
	for _, n := range names {
		if _, ok := c.watched[n]; !ok {
			c.watched[n] = struct{}{}
			added = append(added, n)
		}
	}
	over := len(c.watched) > c.hub.Limits().WatchedNames
	if over {
		for _, n := range added {
			delete(c.watched, n)
		}
	}
	c.mu.Unlock()
	if over {
		return c.hub.metrics.countRefusal(ErrWatchLimit)
	}
	for _, n := range names {
		if err := c.hub.broker.Watch(c.hub.ctx, c.globalName(n), c.id); err != nil {
			return c.hub.metrics.countRefusal(toRefusal(err))
		}
	}
	c.mu.Lock()
	late := c.state == stateClosed // Close has unwatched already
	c.mu.Unlock()
	if late {
		c.Unwatch(names)
	}
	return nil
}

// Unwatch ends Watch for names. Only the reader may call it.
func (c *Client) Unwatch(names []string) {
	c.mu.Lock()
	for _, n := range names {
		delete(c.watched, n)
	}
	c.mu.Unlock()
	for _, n := range names {
		_ = c.hub.broker.Unwatch(c.hub.ctx, c.globalName(n), c.id) // fails only when the node leaves, which forgets everything
	}
}

func (c *Client) unwatchAll(ctx context.Context, names map[string]struct{}) {
	for n := range names {
		_ = c.hub.broker.Unwatch(ctx, c.globalName(n), c.id)
	}
}
