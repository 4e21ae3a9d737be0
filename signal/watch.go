package signal

import "context"

// Watch notifies the client, through [Profile.Presence], whether each of the names is held: once now, and then at every
// change. Only the reader may call it. The error is an *Error. If a name is invalid or the client would watch more names than
// [Limits.WatchedNames], Watch adds none of them.
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
	tooMany := len(c.watched) > c.hub.Limits().WatchedNames
	if tooMany {
		for _, n := range added {
			delete(c.watched, n)
		}
	}
	c.mu.Unlock()
	if tooMany {
		return c.hub.metrics.countRefusal(ErrWatchLimit)
	}
	for _, n := range names {
		if err := c.hub.broker.Watch(c.hub.ctx, c.globalName(n), c.id); err != nil {
			return c.hub.metrics.countRefusal(toRefusal(err))
		}
	}
	c.mu.Lock()
	closed := c.state == stateClosed // Close may have called unwatchAll before the broker knew these names
	c.mu.Unlock()
	if closed {
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
		// An error means that the node has left the broker, which has forgotten the node's watchers.
		_ = c.hub.broker.Unwatch(c.hub.ctx, c.globalName(n), c.id)
	}
}

func (c *Client) unwatchAll(ctx context.Context, names map[string]struct{}) {
	for n := range names {
		_ = c.hub.broker.Unwatch(ctx, c.globalName(n), c.id)
	}
}
