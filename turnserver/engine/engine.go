package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/pion/stun/v2"
	"github.com/pion/turn/v3"
)

// Lifetimes in the state machine. The packet path uses the same ones, but lets a permission last as long as a channel to its
// address (package flow). Pion's own permission may end before that. This has no effect, because Pion relays no packets
// here and does not ask for a permission when it refreshes a channel.
const (
	// PermissionLifetime is fixed by RFC 8656 section 9 (and in Pion).
	PermissionLifetime = 300 * time.Second
	// ChannelLifetime is fixed by RFC 8656 section 12.
	ChannelLifetime = 600 * time.Second
	// MaxLifetime is the longest allocation lifetime that Pion v3 accepts. It treats 3,600 s and more as 600 s.
	MaxLifetime = 3599 * time.Second
)

var (
	// ErrGone is returned for a request about an allocation that has ended.
	ErrGone = errors.New("allocation has ended")
	// ErrRefused is returned if the state machine refuses a request, for example because a channel is bound to another
	// peer.
	ErrRefused = errors.New("refused by the TURN state machine")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("engine is closed")
)

// Engine is a set of shards. Its methods are safe for concurrent use.
type Engine struct {
	shards []*shard
}

// New starts an engine with n shards, one goroutine each.
func New(n int) (*Engine, error) {
	e := &Engine{}
	for range max(n, 1) {
		s, err := newShard()
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("start shard: %w", err)
		}
		e.shards = append(e.shards, s)
	}
	return e, nil
}

// Close ends every allocation and then the shards. It must not be called from a hook.
func (e *Engine) Close() {
	for _, s := range e.shards {
		s.close()
	}
}

// Count returns the number of live allocations as Pion counts them.
func (e *Engine) Count() int {
	n := 0
	for _, s := range e.shards {
		n += s.server.AllocationCount()
	}
	return n
}

// Allocation is one allocation in the state machine.
type Allocation struct {
	shard  *shard
	source *net.UDPAddr
	relay  *relayStub
}

// Hooks are the functions that the state machine calls. They must not call the engine.
type Hooks struct {
	// Open opens the relayed transport address. It is called when the state machine accepts the Allocate. Allocate returns
	// its error.
	Open func() (netip.AddrPort, error)
	// Closed is called exactly once after Open has succeeded, when the allocation ends through Delete, expiry or
	// Engine.Close.
	Closed func()
}

// Allocate creates an allocation with the given lifetime, 1 s to [MaxLifetime]. id must be unique among all allocations that
// the engine has ever had. shard is taken modulo the number of shards; callers with different shards do not wait for each
// other.
func (e *Engine) Allocate(shard int, id uint64, lifetime time.Duration, hooks Hooks) (*Allocation, error) {
	ip := make(net.IP, net.IPv6len)
	ip[0] = 0xFD
	binary.BigEndian.PutUint64(ip[8:], id)
	a := &Allocation{shard: e.shards[shard%len(e.shards)], source: &net.UDPAddr{IP: ip, Port: 1}}
	if err := a.shard.do(a, &hooks, canonicalRequest{method: stun.MethodAllocate, lifetime: lifetime}); err != nil {
		return nil, err
	}
	// Pion has just started a goroutine, which ends at once; see relayStub. Yielding runs it on this thread, before an idle
	// thread wakes up to steal it and then finds nothing else to do.
	runtime.Gosched()
	return a, nil
}

// Refresh sets the remaining lifetime of the allocation, 1 s to [MaxLifetime].
func (a *Allocation) Refresh(lifetime time.Duration) error {
	return a.shard.do(a, nil, canonicalRequest{method: stun.MethodRefresh, lifetime: lifetime})
}

// Delete ends the allocation. Hooks.Closed has been called when it returns. Further calls do nothing.
func (a *Allocation) Delete() {
	_ = a.shard.do(a, nil, canonicalRequest{method: stun.MethodRefresh}) // fails only if the allocation has already ended
}

// peersPerRequest keeps a request well below 1,600 bytes, the size of Pion's read buffer.
const peersPerRequest = 48

// CreatePermission installs or refreshes permissions for all of peers (RFC 8656
// section 10), for [PermissionLifetime]. It takes several requests where there are
// many. Pion checks nothing about a peer, so if it accepts the first of them it accepts the others.
func (a *Allocation) CreatePermission(peers []netip.AddrPort) error {
	for {
		n := min(len(peers), peersPerRequest)
		if err := a.shard.do(a, nil, canonicalRequest{method: stun.MethodCreatePermission, peers: peers[:n]}); err != nil {
			return err
		}
		if peers = peers[n:]; len(peers) == 0 {
			return nil
		}
	}
}

// ChannelBind binds or rebinds number to peer for [ChannelLifetime], and refreshes
// the permission of its address (RFC 8656 section 12). It returns [ErrRefused] if the number is bound to another peer, or
// the peer to another number.
func (a *Allocation) ChannelBind(number uint16, peer netip.AddrPort) error {
	return a.shard.do(a, nil, canonicalRequest{method: stun.MethodChannelBind, number: number, peers: []netip.AddrPort{peer}})
}

var _ turn.RelayAddressGenerator = (*shard)(nil)
