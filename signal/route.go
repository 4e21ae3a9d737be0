package signal

import (
	"cmp"
	"context"
	"errors"

	"icebox/signal/broker"
)

// Offer sends an offer to the client that is signed in under the name to, and makes the two clients a pair. Only the reader
// may call it. The error is an *Error.
func (c *Client) Offer(to string, payload []byte) error {
	name := c.Name()
	if name == "" {
		return c.hub.metrics.countRefusal(ErrNotSignedIn)
	}
	peer, err := c.findName(c.hub.ctx, to)
	if err != nil {
		return c.hub.metrics.countRefusal(toRefusal(err))
	}
	// Add the pair before routing the offer, because the answer may arrive before Route returns.
	c.mu.Lock()
	known := c.pairs.indexOf(peer) >= 0
	c.pairs.addPair(pair{name: to, addr: peer, spoke: true}, c.maxPairs())
	c.mu.Unlock()
	err = c.route(c.hub.ctx, peer, broker.Message{Kind: broker.Offer, From: c.Addr(), FromName: name, Payload: payload})
	if err != nil && !known {
		c.forgetPair(peer)
	}
	return c.routeError(peer, err)
}

// SendInPair sends an answer or a candidate to the client named to, which must be in a pair with this one unless
// [Profile.Loose] is set. Only the reader may call it. The error is an *Error.
func (c *Client) SendInPair(kind broker.Kind, to string, payload []byte) error {
	name, peer, err := c.findPaired(to, kind == broker.Answer)
	if err != nil {
		return err
	}
	err = c.route(c.hub.ctx, peer, broker.Message{Kind: kind, From: c.Addr(), FromName: name, Payload: payload})
	return c.routeError(peer, err)
}

// Leave ends the pair with the client named to, and notifies that client. It does nothing if there is no such pair. Only the
// reader may call it.
func (c *Client) Leave(to string) {
	name, peer, err := c.findPaired(to, false)
	if err != nil {
		return
	}
	c.forgetPair(peer)
	_ = c.route(c.hub.ctx, peer, broker.Message{Kind: broker.Leave, From: c.Addr(), FromName: name})
}

// hangUp ends all pairs, and returns when the leaves have been routed. Any goroutine may call it.
func (c *Client) hangUp(ctx context.Context) {
	c.hangUpMu.Lock()
	defer c.hangUpMu.Unlock()
	c.mu.Lock()
	name, former := c.name, c.pairs
	c.pairs = nil
	c.mu.Unlock()
	for _, p := range former {
		// An error means that the peer has ended, too, so it needs no leave.
		_ = c.route(ctx, p.addr, broker.Message{Kind: broker.Leave, From: c.Addr(), FromName: name, Gone: true})
	}
}

func (c *Client) maxPairs() int { return cmp.Or(c.profile.Pairs, maxPairs) }

// findPaired returns the client's name, and the address of the latest client that it was in a pair with under the name to.
// If there is no such pair and the protocol is loose, it returns the address of the holder of that name. markSpoke records
// that this client has answered the other one.
func (c *Client) findPaired(to string, markSpoke bool) (name string, peer broker.Addr, err error) {
	c.mu.Lock()
	name = c.name
	p, paired := c.pairs.latestNamed(to)
	if paired {
		p.spoke = p.spoke || markSpoke
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

// routeError converts an error of route to the *Error for the sender and counts it. If the peer has ended, routeError also
// ends the pair with it.
func (c *Client) routeError(peer broker.Addr, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, broker.ErrOffline) {
		c.forgetPair(peer)
	}
	return c.hub.metrics.countRefusal(toRefusal(err))
}

// receive queues a message from another client if acceptMessage allows it. Otherwise it drops the message, and the sender
// does not learn about it.
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
	accepted := c.acceptMessage(m)
	c.mu.Unlock()
	if !accepted {
		c.hub.metrics.ignored[m.Kind].Inc()
		return nil
	}
	buf := frameBuffers.Get().(*[]byte)
	*buf = c.profile.Encode((*buf)[:0], m)
	i := item{from: m.From.Client, data: *buf, buf: buf}
	if m.Kind == broker.Leave {
		// A leave must not be lost, so it does not count towards the sender's share. There is only one for each pair.
		i.from = broker.ID{}
	}
	err := c.enqueue(i)
	if err != nil {
		i.recycle()
	}
	return err
}

// acceptMessage applies a message to the pairs and reports whether the client should get it. The caller holds mu.
func (c *Client) acceptMessage(m broker.Message) bool {
	switch m.Kind {
	case broker.Offer, broker.Note:
		c.pairs.addPair(pair{name: m.FromName, addr: m.From}, c.maxPairs())
		return true
	case broker.Leave:
		paired, latest := c.pairs.endPair(m.From)
		return paired && (latest || !c.profile.OneCall) || !paired && c.profile.Loose
	default:
		return c.profile.Loose || c.pairs.indexOf(m.From) >= 0
	}
}
