package signal

import (
	"cmp"
	"context"
	"errors"

	"icebox/signal/broker"
)

// Offer sends an offer to whoever is signed in as to, and makes the two a pair. Only the reader may call it.
// The error is an *Error.
func (c *Client) Offer(to string, payload []byte) error {
	name := c.Name()
	if name == "" {
		return c.hub.metrics.countRefusal(ErrNotSignedIn)
	}
	peer, err := c.findName(c.hub.ctx, to)
	if err != nil {
		return c.hub.metrics.countRefusal(toRefusal(err))
	}
	// The pair is there before the offer is: the answer may come while Route still runs.
	c.mu.Lock()
	known := c.pairs.indexOf(peer) >= 0
	c.pairs.addPair(pair{name: to, addr: peer, spoke: true}, c.maxPairs())
	c.mu.Unlock()
	err = c.route(c.hub.ctx, peer, broker.Message{Kind: broker.Offer, From: c.addr(), FromName: name, Payload: payload})
	if err != nil && !known {
		c.forgetPair(peer)
	}
	return c.routeError(peer, err)
}

// SendInPair sends an answer or a candidate within the pair with the client called to. Only the reader may call it.
// The error is an *Error.
func (c *Client) SendInPair(kind broker.Kind, to string, payload []byte) error {
	name, peer, err := c.findPaired(to, kind == broker.Answer)
	if err != nil {
		return err
	}
	err = c.route(c.hub.ctx, peer, broker.Message{Kind: kind, From: c.addr(), FromName: name, Payload: payload})
	return c.routeError(peer, err)
}

// Leave ends the pair with the client called to. Without such a pair nothing happens. Only the reader may
// call it.
func (c *Client) Leave(to string) {
	name, peer, err := c.findPaired(to, false)
	if err != nil {
		return
	}
	c.forgetPair(peer)
	_ = c.route(c.hub.ctx, peer, broker.Message{Kind: broker.Leave, From: c.addr(), FromName: name})
}

// hangUp ends all pairs and returns when they have been told. Any goroutine may call it.
func (c *Client) hangUp(ctx context.Context) {
	c.hangUpMu.Lock()
	defer c.hangUpMu.Unlock()
	c.mu.Lock()
	name, former := c.name, c.pairs
	c.pairs = nil
	c.mu.Unlock()
	for _, p := range former {
		// Who has gone as well, or has no such pair any more, needs no leave.
		_ = c.route(ctx, p.addr, broker.Message{Kind: broker.Leave, From: c.addr(), FromName: name, Gone: true})
	}
}

func (c *Client) maxPairs() int { return cmp.Or(c.profile.Pairs, maxPairs) }

// findPaired finds the address behind a name within the client's pairs, or, if its protocol is loose,
// anywhere.
func (c *Client) findPaired(to string, speaks bool) (name string, peer broker.Addr, err error) {
	c.mu.Lock()
	name = c.name
	p, paired := c.pairs.latestNamed(to)
	if paired {
		p.spoke = p.spoke || speaks
		peer = p.addr
	}
	c.mu.Unlock()
	switch {
	case name == "":
		return "", peer, c.hub.metrics.countRefusal(ErrNotSignedIn)
	case paired:
		return name, peer, nil
	case !c.profile.Loose:
		return "", peer, c.hub.metrics.countRefusal(ErrNotPaired)
	}
	if peer, err = c.findName(c.hub.ctx, to); err != nil {
		return "", peer, c.hub.metrics.countRefusal(toRefusal(err))
	}
	return name, peer, nil
}

func (c *Client) forgetPair(peer broker.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pairs.endPair(peer)
}

func (c *Client) route(ctx context.Context, to broker.Addr, m broker.Message) error {
	err := c.hub.broker.Route(ctx, to, m)
	if err == nil {
		c.hub.metrics.routed[m.Kind].Inc()
	}
	return err
}

// routeError turns the outcome of a route into what the sender is told. A peer that has gone is no pair any more.
func (c *Client) routeError(peer broker.Addr, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, broker.ErrOffline) {
		c.forgetPair(peer)
	}
	return c.hub.metrics.countRefusal(toRefusal(err))
}

// receive takes a message from another client, if it belongs to one of this client's pairs.
func (c *Client) receive(m broker.Message) error {
	c.mu.Lock()
	if c.state != stateOpen {
		c.mu.Unlock()
		return broker.ErrOffline
	}
	if !c.profile.ByID && (m.Kind == broker.Note || m.Kind == broker.Offer && m.FromName == "") {
		c.mu.Unlock()
		return broker.ErrUnsupported
	}
	wanted := c.acceptMessage(m)
	c.mu.Unlock()
	if !wanted {
		c.hub.metrics.ignored[m.Kind].Inc()
		return nil
	}
	buf := frameBuffers.Get().(*[]byte)
	*buf = c.profile.Encode((*buf)[:0], m)
	i := item{from: m.From.Client, data: *buf, buf: buf}
	if m.Kind == broker.Leave {
		i.from = broker.ID{} // not held against the sender: it must not get lost, and there is one a pair
	}
	err := c.enqueue(i)
	if err != nil {
		i.recycle()
	}
	return err
}

// acceptMessage applies a message to the pairs and reports whether the client should see it. The caller holds mu.
func (c *Client) acceptMessage(m broker.Message) bool {
	switch m.Kind {
	case broker.Offer, broker.Note:
		c.pairs.addPair(pair{name: m.FromName, addr: m.From}, c.maxPairs())
		return true
	case broker.Leave:
		was, latest := c.pairs.endPair(m.From)
		return was && (latest || !c.profile.OneCall) || !was && c.profile.Loose
	default:
		return c.profile.Loose || c.pairs.indexOf(m.From) >= 0
	}
}
