package signal

import "icebox/signal/broker"

// Recipient is the client at Addr, or, if Addr is zero, the client that holds Name.
type Recipient struct {
	Name string
	Addr broker.Addr
}

// SendTo sends a message of any kind. It sets the message's From, FromName and Gone. An offer or a note creates a pair; the
// other kinds need one. Unlike Offer and SendInPair, SendTo works for a client without a name. Only the reader may call it.
// The error is an *Error.
func (c *Client) SendTo(to Recipient, m broker.Message) error {
	peer, err := c.resolve(to, m.Kind)
	if err != nil {
		return c.hub.metrics.countRefusal(toRefusal(err))
	}
	createsPair := m.Kind == broker.Offer || m.Kind == broker.Note
	c.mu.Lock()
	m.From, m.FromName, m.Gone = c.Addr(), c.name, false
	known := c.pairs.indexOf(peer) >= 0
	switch {
	case createsPair:
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
	if err != nil && createsPair && !known {
		c.forgetPair(peer)
	}
	return c.routeError(peer, err)
}

// resolve returns the address of a recipient. A message of a kind that needs a pair goes to the client of the latest pair
// under that name, even if another client holds the name by now.
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
