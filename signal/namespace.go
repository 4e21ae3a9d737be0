package signal

import (
	"context"
	"strings"

	"icebox/signal/broker"
)

// namespaceEnd separates a namespace from a name in the broker's keys. No valid name contains it.
const namespaceEnd = "\x00"

// globalName returns the broker's key for a name in the client's namespace.
func (c *Client) globalName(name string) string {
	if c.profile.Namespace == "" {
		return name
	}
	return c.profile.Namespace + namespaceEnd + name
}

// localName is the inverse of globalName.
func (p *Profile) localName(name string) string {
	return strings.TrimPrefix(name, p.Namespace+namespaceEnd)
}

// findName asks the broker which client holds a name in the client's namespace. It rejects a name that contains
// namespaceEnd, because the broker would look it up in another namespace.
func (c *Client) findName(ctx context.Context, name string) (broker.Addr, error) {
	if strings.Contains(name, namespaceEnd) {
		return broker.Addr{}, broker.ErrOffline
	}
	return c.hub.broker.Find(ctx, c.globalName(name))
}
