package signal

import (
	"context"
	"strings"

	"icebox/signal/broker"
)

// spaceEnd is between the name of a space and a name in it, towards the broker. No valid name contains it.
const spaceEnd = "\x00"

// global is a name of the client's space as the broker knows it.
func (c *Client) global(name string) string {
	if c.profile.Space == "" {
		return name
	}
	return c.profile.Space + spaceEnd + name
}

// local is the inverse of global.
func (p *Profile) local(name string) string {
	return strings.TrimPrefix(name, p.Space+spaceEnd)
}

// find asks the broker who holds a name in the client's space. What is no name can't lead into another space.
func (c *Client) find(ctx context.Context, name string) (broker.Addr, error) {
	if strings.Contains(name, spaceEnd) {
		return broker.Addr{}, broker.ErrOffline
	}
	return c.hub.broker.Find(ctx, c.global(name))
}
