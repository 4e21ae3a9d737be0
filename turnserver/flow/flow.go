// Package flow holds the forwarding state of one allocation: the permitted peers (RFC 8656 section 9) and the channels
// bound to peers (RFC 8656 section 12).
//
// A [Table] mirrors the permissions and channels of the TURN state machine, with their expiry times. The relay looks them
// up for every packet, so a lookup takes no lock and allocates nothing. A write copies the small maps instead. Lookups
// ignore expired entries, and the next write removes them.
//
// A permission never ends before a channel to its address does. RFC 8656 lets the
// permission end first, 300 s after the last request that named the peer. Some clients
// rely on the longer life, because they refresh their channels after more than
// 300 s and send no CreatePermission.
//
// Times are nanoseconds of the caller's monotonic clock.
package flow

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// Permission allows packets from and to one IP address.
type Permission struct {
	until atomic.Int64
}

// Channel is a channel bound to a peer.
type Channel struct {
	Number uint16
	Peer   netip.AddrPort
	// Allowed belongs to the packet path. It stores the policy that last allowed the peer.
	Allowed atomic.Value

	until atomic.Int64
}

// Table is the forwarding state of one allocation. The zero Table is empty and ready.
type Table struct {
	state atomic.Pointer[state]
	mu    sync.Mutex // held by writers
}

// state does not change after it is stored, except for the times in its entries.
type state struct {
	permissions map[netip.Addr]*Permission
	numbers     map[uint16]*Channel
	peers       map[netip.AddrPort]*Channel
}

// Bound returns the live channel with this number. Its peer is permitted.
func (t *Table) Bound(number uint16, now int64) (*Channel, bool) {
	s := t.state.Load()
	if s == nil {
		return nil, false
	}
	c, ok := s.numbers[number]
	if !ok || c.until.Load() <= now {
		return nil, false
	}
	return c, true
}

// From looks up a packet between peer and the client. permitted is false if it must be dropped. c is the channel that carries it, or nil
// if an indication does.
func (t *Table) From(peer netip.AddrPort, now int64) (c *Channel, permitted bool) {
	s := t.state.Load()
	if s == nil {
		return nil, false
	}
	if c, ok := s.peers[peer]; ok && c.until.Load() > now {
		return c, true
	}
	p, ok := s.permissions[peer.Addr()]
	return nil, ok && p.until.Load() > now
}

// Permit installs or refreshes permissions for peers. It never shortens one.
func (t *Table) Permit(peers []netip.Addr, now, until int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.copy(now)
	for _, a := range peers {
		s.permit(a, until)
	}
	t.state.Store(s)
}

// Bind installs or refreshes a channel, and permits its peer's address until the channel ends.
func (t *Table) Bind(number uint16, peer netip.AddrPort, now, until int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.copy(now)
	c, ok := s.numbers[number]
	if !ok || c.Peer != peer {
		if ok {
			s.forgetPeer(c)
		}
		c = &Channel{Number: number, Peer: peer}
	}
	s.permit(peer.Addr(), until)
	c.until.Store(until)
	s.numbers[number], s.peers[peer] = c, c
	t.state.Store(s)
}

// RoomFor reports whether peers may be permitted without exceeding limit live permissions.
func (t *Table) RoomFor(peers []netip.Addr, now int64, limit int) bool {
	s := t.state.Load()
	if s == nil {
		return len(peers) <= limit
	}
	alive := 0
	for _, p := range s.permissions {
		if p.until.Load() > now {
			alive++
		}
	}
	for i, a := range peers {
		if p, ok := s.permissions[a]; (!ok || p.until.Load() <= now) && !slices.Contains(peers[:i], a) {
			alive++
		}
	}
	return alive <= limit
}

// RoomForChannel reports whether number may be bound without exceeding limit live channels.
func (t *Table) RoomForChannel(number uint16, now int64, limit int) bool {
	s := t.state.Load()
	if s == nil {
		return limit > 0
	}
	alive := 1
	for n, c := range s.numbers {
		if n != number && c.until.Load() > now {
			alive++
		}
	}
	return alive <= limit
}

// copy returns a copy of the state to write to, without the entries that have expired.
func (t *Table) copy(now int64) *state {
	old := t.state.Load()
	if old == nil {
		return &state{
			permissions: make(map[netip.Addr]*Permission),
			numbers:     make(map[uint16]*Channel),
			peers:       make(map[netip.AddrPort]*Channel),
		}
	}
	s := &state{permissions: maps.Clone(old.permissions), numbers: maps.Clone(old.numbers), peers: maps.Clone(old.peers)}
	for n, c := range s.numbers {
		if c.until.Load() <= now {
			delete(s.numbers, n)
			s.forgetPeer(c)
		}
	}
	maps.DeleteFunc(s.permissions, func(_ netip.Addr, p *Permission) bool { return p.until.Load() <= now })
	return s
}

// forgetPeer removes the peer of a channel, unless a newer channel is bound to the same peer.
func (s *state) forgetPeer(c *Channel) {
	if s.peers[c.Peer] == c {
		delete(s.peers, c.Peer)
	}
}

// permit extends the permission of a to until, unless it lasts longer already. The caller holds the table's mu.
func (s *state) permit(a netip.Addr, until int64) {
	p, ok := s.permissions[a]
	if !ok {
		p = new(Permission)
		s.permissions[a] = p
	}
	p.until.Store(max(p.until.Load(), until))
}
