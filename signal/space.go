package signal

import (
	"context"
	"strings"

	"icebox/signal/broker"
)

// namespaceEnd is between the name of a space and a name in it, towards the broker. No valid name contains it.
const namespaceEnd = "\x00"

// globalName is a name of the client's space as the broker knows it.
func (c *Client) globalName(name string) string {
	if c.profile.Namespace == "" {
		return name
	}
	return c.profile.Namespace + namespaceEnd + name
}

// localName is the inverse of global.
func (p *Profile) localName(name string) string {
	return strings.TrimPrefix(name, p.Namespace+namespaceEnd)
}

// findName asks the broker who holds a name in the client's space. What is no name can't lead into another space.
func (c *Client) findName(ctx context.Context, name string) (broker.Addr, error) {
	if strings.Contains(name, namespaceEnd) {
		return broker.Addr{}, broker.ErrOffline
	}
	return c.hub.broker.Find(ctx, c.globalName(name))
}
