package signal

import (
	"context"
	"strings"

	"icebox/signal/broker"
)

// spaceEnd is between the name of a space and a name in it, towards the broker. No valid name contains it.
const spaceEnd = "\x00"

// globalName is a name of the client's space as the broker knows it.
func (c *Client) globalName(name string) string {
	if c.profile.Space == "" {
		return name
	}
	return c.profile.Space + spaceEnd + name
}

// localName is the inverse of global.
func (p *Profile) localName(name string) string {
	return strings.TrimPrefix(name, p.Space+spaceEnd)
}

// findName asks the broker who holds a name in the client's space. What is no name can't lead into another space.
func (c *Client) findName(ctx context.Context, name string) (broker.Addr, error) {
	if strings.Contains(name, spaceEnd) {
		return broker.Addr{}, broker.ErrOffline
	}
	return c.hub.broker.Find(ctx, c.globalName(name))
}
