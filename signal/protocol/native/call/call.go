package call

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/budget"
)

// call is one call. mu is held while its parties are notified, and locked before Registry.mu.
type call struct {
	registry *Registry
	id       string
	max      int
	reserved bool
	restored bool // an earlier process created the call, and a party with a proof restored it in this process

	mu           sync.Mutex
	ended        bool
	joined       bool // a second party has joined, even if it has left since
	parties      []Party
	kept         keptMessages
	joinDeadline time.Time
	timer        *time.Timer // ends the call if nobody joins, or if it stays empty
}

// info describes the call to p. The caller holds mu.
func (c *call) info(p Party) Info {
	i := Info{ID: c.id, Max: c.max, Until: c.joinDeadline}
	if !c.reserved {
		i.Proof = c.registry.prover.issue(c.id, c.max)
	}
	for _, other := range c.parties {
		if other.Addr() != p.Addr() {
			i.Others = append(i.Others, other)
		}
	}
	return i
}

// checkJoin returns an error if the state of the call does not allow p to join. listed is true if p's token lists the
// call. The caller holds mu.
func (c *call) checkJoin(p Party, listed bool) error {
	switch {
	case c.ended:
		return signal.ErrNoSuchCall
	case c.reserved && !listed:
		return signal.ErrCallBarred
	case c.index(p.Addr()) >= 0:
		return signal.ErrInCall
	case len(c.parties) >= c.max:
		return signal.ErrCallFull
	}
	return nil
}

// join adds p to the call. It calls reply, then sends p the kept messages, then notifies the others.
func (c *call) join(p Party, listed bool, reply func(Info)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.checkJoin(p, listed); err != nil {
		return err
	}
	if err := c.registry.addParty(p, c); err != nil {
		return err
	}
	c.parties = append(c.parties, p)
	if c.joined = c.joined || len(c.parties) > 1; c.joined {
		c.timer.Stop()
	} else {
		c.timer.Reset(time.Until(c.joinDeadline))
	}
	reply(c.info(p))
	for _, e := range c.drainKept() {
		_ = p.Notify(e) // if this fails, p is being disconnected, and the others are notified when its session ends
	}
	_ = c.notifyOthers(Event{Kind: Joined, Call: c.id, From: p.Addr(), FromName: p.Name()})
	return nil
}

// drainKept removes the kept messages and returns them in the order in which a joiner receives them. The caller holds mu.
func (c *call) drainKept() []Event {
	events := c.kept.all()
	c.kept.forget(func(broker.Addr) bool { return true }, c.registry.budget.Release)
	return events
}

// send passes a message from p on to the party with address to, or to all others if to is zero. While p is alone, the
// message is kept.
func (c *call) send(p Party, to broker.Addr, label string, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := Event{Kind: Message, Call: c.id, From: p.Addr(), FromName: p.Name(), Label: label, Data: data}
	switch i := c.index(to); {
	case c.ended:
		return signal.ErrNoSuchCall
	case c.index(p.Addr()) < 0:
		return signal.ErrNotInCall
	case i >= 0:
		return c.parties[i].Notify(e)
	case !to.IsZero():
		return signal.ErrPeerOffline
	case len(c.parties) == 1:
		return c.keepMessage(e, p.AddrKey())
	}
	return c.notifyOthers(e)
}

// keepMessage keeps a message for the next client that joins, within the limits. The caller holds mu.
func (c *call) keepMessage(e Event, addrKey netip.Addr) error {
	l := c.registry.limits()
	return c.kept.addEvent(e, addrKey, l.KeptBytes, func(bytes int) bool {
		return c.registry.budget.Reserve(addrKey, bytes, budget.Limits{Total: l.KeptTotal, PerAddr: l.KeptPerAddr})
	})
}

// notifyOthers notifies all parties except e.From, and returns the last error. The caller holds mu.
func (c *call) notifyOthers(e Event) (err error) {
	for _, p := range c.parties {
		if p.Addr() == e.From {
			continue
		}
		if refused := p.Notify(e); refused != nil {
			err = refused
		}
	}
	return err
}

// remove takes p out of the call, and notifies the others with kind, which is Left or Gone.
func (c *call) remove(p Party, kind EventKind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.index(p.Addr())
	if i < 0 || c.ended {
		return
	}
	c.parties = slices.Delete(c.parties, i, i+1)
	c.kept.forget(func(a broker.Addr) bool { return a == p.Addr() }, c.registry.budget.Release)
	c.registry.mu.Lock()
	c.registry.forgetMember(p, c)
	c.registry.mu.Unlock()
	_ = c.notifyOthers(Event{Kind: kind, Call: c.id, From: p.Addr(), FromName: p.Name()})
	if len(c.parties) == 0 {
		c.timer.Reset(EmptyWait)
	}
}

// end ends the call for all parties, including the one that caused it.
func (c *call) end(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(e)
}

// endLocked is end for a caller that holds mu.
func (c *call) endLocked(e Event) {
	if c.ended {
		return
	}
	c.ended = true
	c.timer.Stop()
	c.drainKept()
	c.registry.mu.Lock()
	delete(c.registry.calls, c.id)
	if c.restored {
		c.registry.endedRestored[c.id] = struct{}{}
	}
	for _, p := range c.parties {
		c.registry.forgetMember(p, c)
	}
	c.registry.mu.Unlock()
	e.Call = c.id
	for _, p := range c.parties {
		_ = p.Notify(e)
	}
	c.parties = nil
	c.registry.metrics.callEnded(e.Kind)
}

// expire runs when the timer fires. The state may have changed since, so it checks whether the call still has to end.
func (c *call) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.parties) == 0:
		c.endLocked(Event{Kind: Empty})
	case !c.joined && !time.Now().Before(c.joinDeadline):
		c.endLocked(Event{Kind: Unjoined})
	}
}

// index returns the index of the party with address a, or -1. The caller holds mu.
func (c *call) index(a broker.Addr) int {
	return slices.IndexFunc(c.parties, func(p Party) bool { return p.Addr() == a })
}
