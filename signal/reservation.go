package signal

import "icebox/signal/budget"

const (
	// uncountedBytes is how many bytes may wait in one queue or buffer without being counted. Most clients never have more.
	uncountedBytes = 16 << 10
	// reserveStep is the unit of reservations, in bytes. It is large so that the budget's lock is rarely taken.
	reserveStep = 32 << 10
)

// Reservation is memory that one queue or buffer of a client has reserved for waiting messages. It counts against the limits
// for the client's address and for the hub ([Limits.WaitingPerAddr] and [Limits.WaitingTotal]). The zero Reservation is
// empty. It is not safe for concurrent use: the lock of the queue guards it.
type Reservation struct{ bytes int }

// Reserve grows or shrinks a reservation of the client so that it covers the given number of waiting bytes. If that would
// exceed a limit, it changes nothing and returns false.
func (c *Client) Reserve(r *Reservation, bytes int) (ok bool) {
	need := max(0, bytes-uncountedBytes)
	need = (need + reserveStep - 1) / reserveStep * reserveStep
	if need == r.bytes {
		return true
	}
	if need < r.bytes && need > r.bytes/2 { // do not release memory that the queue may soon need again
		return true
	}
	limits := c.hub.Limits()
	ok = c.hub.reserved.Reserve(c.AddrKey(), need-r.bytes,
		budget.Limits{Total: limits.WaitingTotal, PerAddr: limits.WaitingPerAddr})
	if ok {
		r.bytes = need
	}
	return ok
}
