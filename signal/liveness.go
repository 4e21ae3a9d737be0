package signal

import (
	"context"
	"time"
)

// Seen records a sign of life, which is any data that the client has sent. Any goroutine may call it.
func (c *Client) Seen() {
	c.lastSeen.Store(int64(c.hub.now()))
	c.mu.Lock()
	c.notifyProbes()
	c.mu.Unlock()
}

// notifyProbes wakes the goroutines in probe, after a sign of life or when the client ends. The caller holds mu.
func (c *Client) notifyProbes() {
	if c.probed != nil {
		close(c.probed)
		c.probed = nil
	}
}

// ping asks the client for a sign of life.
func (c *Client) ping() {
	c.mu.Lock()
	claimed := c.enqueuePing()
	c.mu.Unlock()
	if claimed {
		c.flushInline()
	}
}

// enqueuePing queues a ping unless one is queued already, and reports whether the caller must call flushInline. The caller
// holds mu.
func (c *Client) enqueuePing() (claimed bool) {
	if c.state != stateOpen || c.queue.pings > 0 {
		return false
	}
	c.queue.push(item{kind: pingFrame})
	return c.claimFlush()
}

// expired reports whether the hub must end the client because its token has expired.
func (c *Client) expired() bool {
	end := c.visitor.Grant.Expires
	return c.profile.Expires && !end.IsZero() && !time.Now().Before(end)
}

// notePing records that a ping is about to be written, unless an earlier one is still unanswered.
func (c *Client) notePing() {
	if c.pingSent.Load() <= c.lastSeen.Load() {
		c.pingSent.Store(int64(c.hub.now()))
	}
}

// pongOverdue reports whether a ping that was written at least age ago is still unanswered.
func (c *Client) pongOverdue(now, age time.Duration) bool {
	sent := c.pingSent.Load()
	return sent != 0 && c.lastSeen.Load() < sent && now-time.Duration(sent) >= age
}

// pongMissed ends a client that did not answer a ping, unless its connection can wait for another transport.
func (c *Client) pongMissed() {
	if r, ok := c.conn.(Resumable); ok && r.DropTransport() {
		return
	}
	c.End(PongTimeout)
}

// probe pings the client and reports whether it shows a sign of life within wait. Concurrent probes share one ping.
func (c *Client) probe(ctx context.Context, wait time.Duration) bool {
	c.mu.Lock()
	if c.state != stateOpen {
		c.mu.Unlock()
		return false
	}
	claimed := false
	if c.probed == nil {
		c.probed = make(chan struct{})
		claimed = c.enqueuePing()
	}
	probed := c.probed
	c.mu.Unlock()
	if claimed {
		c.flushInline()
	}

	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-probed:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.state == stateOpen // probed is closed when the client ends, too
	case <-t.C:
		return false
	case <-ctx.Done():
		return false
	}
}
