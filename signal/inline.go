package signal

import (
	"context"
	"log/slog"
)

// TrySignIn is [Client.SignIn] for a reader that reads for others too and must not wait: where that would have to wait,
// it reports false, and nothing has happened.
func (c *Client) TrySignIn(name string) (done bool, err error) {
	if settled, err := c.checkSignIn(name); settled {
		return true, err
	}
	if b := c.hub.broker; !b.Local() || !b.TryClaim(c.globalName(name), c.id) {
		return false, nil
	}
	c.setName(c.hub.ctx, name)
	return true, nil
}

// checkSignIn reports whether a sign-in needs no claim, and what comes of it.
func (c *Client) checkSignIn(name string) (ok bool, err error) {
	h := c.hub
	switch {
	case !ValidName(name):
		return true, h.metrics.countRefusal(ErrBadName)
	case c.visitor.Grant.Name != "" && c.visitor.Grant.Name != name:
		return true, h.metrics.countRefusal(ErrNameNotAllowed)
	case h.Draining():
		return true, h.metrics.countRefusal(ErrRestarting)
	}
	return c.Name() == name, nil
}

// setName gives the client a name that has been claimed for it, in place of the one it had.
func (c *Client) setName(ctx context.Context, name string) {
	c.mu.Lock()
	old := c.name
	c.name = name
	c.mu.Unlock()
	if old == "" {
		c.hub.metrics.signedIn.Inc()
	} else {
		c.releaseName(ctx, old)
	}
	c.hub.metrics.signIns.Inc()
	c.debug("client signed in", slog.String("name", name))
}

// TryClose is [Client.Close] for such a reader. First is called before the other side can notice. Where it would have to
// wait it reports false, and nothing has happened.
func (c *Client) TryClose(first func()) (done bool) {
	return c.hub.broker.Local() && c.close(first, false)
}
