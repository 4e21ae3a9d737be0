package signal

import (
	"context"
	"log/slog"
	"unicode"
	"unicode/utf8"
)

// MaxName is the length limit of a client's name, in bytes.
const MaxName = 128

// ValidName reports whether name may be a client's name: 1 to MaxName bytes of UTF-8 without control characters.
func ValidName(name string) bool {
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// SignIn claims a name for the client. It blocks for at most [Options.ClaimWait]. A client that already has a name exchanges
// it for the new one and keeps its pairs. Only the reader may call it. The error is an *Error.
func (c *Client) SignIn(name string) error {
	h := c.hub
	if decided, err := c.checkSignIn(name); decided {
		return err
	}
	ctx, cancel := context.WithTimeout(h.ctx, h.opts.ClaimWait)
	defer cancel()
	if err := h.broker.Claim(ctx, c.globalName(name), c.id); err != nil {
		refused := toRefusal(err)
		if refused == ErrUnavailable && !isCanceled(err) {
			h.log.Warn("could not claim a name", slog.String("client", c.id.String()), slog.Any("error", err))
		}
		c.debug("sign-in refused", slog.String("name", name), slog.String("code", refused.Code))
		return h.metrics.countRefusal(refused)
	}
	c.setName(ctx, name)
	return nil
}

// TrySignIn is [Client.SignIn] for a reader that serves several clients and must not block. If it would have to block, it
// changes nothing and returns false.
func (c *Client) TrySignIn(name string) (done bool, err error) {
	if decided, err := c.checkSignIn(name); decided {
		return true, err
	}
	if b := c.hub.broker; !b.Local() || !b.TryClaim(c.globalName(name), c.id) {
		return false, nil
	}
	c.setName(c.hub.ctx, name)
	return true, nil
}

// checkSignIn reports whether the result of a sign-in is known without a claim. If it is, err is the result.
func (c *Client) checkSignIn(name string) (decided bool, err error) {
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

// setName gives the client a name that it has claimed, and releases its previous name.
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

func (c *Client) releaseName(ctx context.Context, name string) {
	if err := c.hub.broker.Release(ctx, c.globalName(name), c.id); err != nil {
		c.hub.log.Warn("could not release a name", slog.String("client", c.id.String()), slog.Any("error", err))
	}
}

// TakeOver moves the name of old, another client of this hub, to this client, which must not have a name. The name is never
// free in between. TakeOver reports whether it moved the name. It does not move it if old has no name, or if this client's
// token is for another name. Only the reader may call it.
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
