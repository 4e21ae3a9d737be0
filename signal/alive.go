package signal

import (
	"context"
	"time"

	"icebox/signal/rate"
)

// messageUnit is how many bytes count as one message against the rate.
const messageUnit = 16 << 10

// Seen notes a sign of life: that something came. Any goroutine may call it.
func (c *Client) Seen() {
	c.lastSeen.Store(int64(c.hub.now()))
	c.mu.Lock()
	c.notifyProbes()
	c.mu.Unlock()
}

// notifyProbes lets go those that wait for a sign of life, or for the end. The caller holds mu.
func (c *Client) notifyProbes() {
	if c.probed != nil {
		close(c.probed)
		c.probed = nil
	}
}

// CountMessage counts a message of so many bytes, and returns how long the client has to wait before it may send that. It
// reports whether the client should be told that it is too fast: when it has just become so, and not again before it
// has slowed down for a while. Only the reader may call it.
func (c *Client) CountMessage(size int) (wait time.Duration, tooFast bool) {
	l := c.hub.Limits()
	r := rate.Rate{PerSecond: l.MessagesPerSecond, Burst: float64(l.MessageBurst)}
	wait = c.bucket.Spend(r, time.Now(), 1+float64(size/messageUnit))
	if wait > 0 {
		tooFast = !c.throttled
		c.throttled = true
	} else if c.bucket.Left() > r.Burst/2 {
		c.throttled = false
	}
	return wait, tooFast
}

// Charge counts what a message of the client causes elsewhere, in bytes, and returns how long the client has to wait before it may send the
// next one. Only the reader may call it.
func (c *Client) Charge(size int) (wait time.Duration) {
	l := c.hub.Limits()
	r := rate.Rate{PerSecond: l.MessagesPerSecond, Burst: float64(l.MessageBurst)}
	return c.bucket.Spend(r, time.Now(), float64(size)/messageUnit)
}

// ping asks for a sign of life.
func (c *Client) ping() {
	c.mu.Lock()
	claimed := c.enqueuePing()
	c.mu.Unlock()
	if claimed {
		c.flushInline()
	}
}

// enqueuePing queues a ping unless one is waiting, and reports whether the caller has to call flushInline. The
// caller holds mu.
func (c *Client) enqueuePing() (claimed bool) {
	if c.state != stateOpen || c.queue.pings > 0 {
		return false
	}
	c.queue.push(item{kind: pingFrame})
	return c.claimFlush()
}

// expired reports whether the client's token is no longer good, where that is the hub's business.
func (c *Client) expired() bool {
	end := c.visitor.Grant.Expires
	return c.profile.Expires && !end.IsZero() && !time.Now().Before(end)
}

// notePing remembers when the oldest ping without an answer was written.
func (c *Client) notePing() {
	if c.pingSent.Load() <= c.lastSeen.Load() {
		c.pingSent.Store(int64(c.hub.now()))
	}
}

// pongOverdue reports whether a ping that was written at least so long ago got no answer.
func (c *Client) pongOverdue(now, age time.Duration) bool {
	pinged := c.pingSent.Load()
	return pinged != 0 && c.lastSeen.Load() < pinged && now-time.Duration(pinged) >= age
}

// pongMissed deals with a client that gave no sign of life, and reports whether it stays nevertheless.
func (c *Client) pongMissed() (stays bool) {
	if r, ok := c.conn.(Resumable); ok && r.DropTransport() {
		return true
	}
	c.End(PongTimeout)
	return false
}

// probe pings the client and reports whether it shows a sign of life in time. Probes at the same time
// share a ping.
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
	answered := c.probed
	c.mu.Unlock()
	if claimed {
		c.flushInline()
	}

	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-answered:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.state == stateOpen
	case <-t.C:
		return false
	case <-ctx.Done():
		return false
	}
}
