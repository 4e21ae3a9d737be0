package signal

import "icebox/signal/budget"

const (
	// uncountedBytes is how many bytes may wait in one place without being counted: most clients never have as many.
	uncountedBytes = 16 << 10
	// reserveStep is what more is borrowed in, in bytes, so that the budget's lock is seldom taken.
	reserveStep = 32 << 10
)

// Reservation is what waits in one place for a client, and is counted against what may wait for its address and for all
// ([Limits.WaitingPerAddr], [Limits.WaitingTotal]). The zero Reservation is of nothing. Whoever holds it guards it.
type Reservation struct{ bytes int }

// Reserve makes a client's loan large enough for bytes that wait, or smaller. It reports false, and changes nothing, if
// that would be too much.
func (c *Client) Reserve(l *Reservation, bytes int) (ok bool) {
	need := max(0, bytes-uncountedBytes)
	need = (need + reserveStep - 1) / reserveStep * reserveStep
	if need == l.bytes || need > 0 && need < l.bytes && need > l.bytes/2 { // it may be wanted again at once
		return true
	}
	limits := c.hub.Limits()
	ok = c.hub.reserved.Reserve(AddrKey(c.visitor.Addr), need-l.bytes, budget.Limits{Total: limits.WaitingTotal, PerAddr: limits.WaitingPerAddr})
	if ok {
		l.bytes = need
	}
	return ok
}
