package signal

import (
	"time"

	"icebox/signal/rate"
)

// messageUnit is the number of bytes that count as one message against the rate limit.
const messageUnit = 16 << 10

// CountMessage counts a message of size bytes from the client against its rate limit, and returns how long the reader must
// wait before it reads the next one. tooFast reports whether the caller should tell the client that it sends too fast. It
// is true when the client begins to exceed the limit, and again only after half of its burst has been restored. Only the
// reader may call it.
func (c *Client) CountMessage(size int) (wait time.Duration, tooFast bool) {
	r := c.hub.Limits().messageRate()
	wait = c.bucket.Spend(r, time.Now(), 1+float64(size/messageUnit))
	if wait > 0 {
		tooFast = !c.throttled
		c.throttled = true
	} else if c.bucket.Left() > r.Burst/2 {
		c.throttled = false
	}
	return wait, tooFast
}

// Charge counts the size in bytes of the data that a message of the client makes the server send, such as copies for other
// clients. It does so in addition to CountMessage. It returns how long the reader must wait before it reads the next
// message. Only the reader may call it.
func (c *Client) Charge(size int) (wait time.Duration) {
	return c.bucket.Spend(c.hub.Limits().messageRate(), time.Now(), float64(size)/messageUnit)
}

func (l *Limits) messageRate() rate.Rate {
	return rate.Rate{PerSecond: l.MessagesPerSecond, Burst: float64(l.MessageBurst)}
}
