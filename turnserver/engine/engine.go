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

// Timers of the state machine. The packet path mirrors them, but lets a permission last as long as a channel to
// its address does (package flow). Pion's own permission may end before that, which has no
// effect: Pion relays no packets here, and asks for no permission when it refreshes a channel.
const (
	// PermissionLifetime is fixed by RFC 8656 section 9 (and in Pion).
	PermissionLifetime = 300 * time.Second
	// ChannelLifetime is fixed by RFC 8656 section 12.
	ChannelLifetime = 600 * time.Second
	// MaxLifetime is the longest allocation lifetime that Pion v3 takes as it is: it
	// reads 3,600 s and more as 600 s.
	MaxLifetime = 3599 * time.Second
)

var (
	// ErrGone is returned for a request about an allocation that has ended.
	ErrGone = errors.New("allocation has ended")
	// ErrRefused is returned where the state machine answered with an error, such
	// as a channel that is bound to another peer.
	ErrRefused = errors.New("refused by the TURN state machine")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("engine is closed")
)

// Engine is a set of shards. All methods may be called from any goroutine.
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

// Close ends every allocation and then the shards. It must not be called from a callback.
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

// Hooks are called by the state machine. They must not call the engine.
type Hooks struct {
	// Open opens the relayed transport address once the Allocate is accepted. Its error is returned by Allocate.
	Open func() (netip.AddrPort, error)
	// Closed is called exactly once when an opened allocation has ended: by Delete, by expiry or by Close.
	Closed func()
}

// Allocate creates an allocation with the given lifetime, at least 1 s and at most
// [MaxLifetime]. id must be unique among all allocations the engine ever had. Callers that name
// different shards, counted from 0 and wrapped around, do not wait for each other.
func (e *Engine) Allocate(shard int, id uint64, lifetime time.Duration, hooks Hooks) (*Allocation, error) {
	ip := make(net.IP, net.IPv6len)
	ip[0] = 0xFD
	binary.BigEndian.PutUint64(ip[8:], id)
	a := &Allocation{shard: e.shards[shard%len(e.shards)], source: &net.UDPAddr{IP: ip, Port: 1}}
	if err := a.shard.do(a, &hooks, ask{method: stun.MethodAllocate, lifetime: lifetime}); err != nil {
		return nil, err
	}
	// Pion has just started a goroutine, which ends at its first step, see relayStub. It does so now and here,
	// before an idle thread has woken up, steals it, and finds nothing else to do.
	runtime.Gosched()
	return a, nil
}

// Refresh sets the allocation's lifetime anew, within the limits of Allocate.
func (a *Allocation) Refresh(lifetime time.Duration) error {
	return a.shard.do(a, nil, ask{method: stun.MethodRefresh, lifetime: lifetime})
}

// Delete ends the allocation; Closed has been called when it returns. Deleting twice does no harm.
func (a *Allocation) Delete() {
	_ = a.shard.do(a, nil, ask{method: stun.MethodRefresh}) // fails only when there is nothing left to delete
}

// peersPerRequest keeps a request well below the 1,600 bytes that Pion reads of a message.
const peersPerRequest = 48

// CreatePermission installs or refreshes permissions for all of peers (RFC 8656
// section 10), for [PermissionLifetime]. It takes several requests where there are
// many: one that is accepted says that the next will be, for Pion asks nothing about a peer.
func (a *Allocation) CreatePermission(peers []netip.AddrPort) error {
	for {
		n := min(len(peers), peersPerRequest)
		if err := a.shard.do(a, nil, ask{method: stun.MethodCreatePermission, peers: peers[:n]}); err != nil {
			return err
		}
		if peers = peers[n:]; len(peers) == 0 {
			return nil
		}
	}
}

// ChannelBind binds or rebinds number to peer for [ChannelLifetime], and refreshes
// the permission of its address (RFC 8656 section 12). [ErrRefused] if either is bound otherwise.
func (a *Allocation) ChannelBind(number uint16, peer netip.AddrPort) error {
	return a.shard.do(a, nil, ask{method: stun.MethodChannelBind, number: number, peers: []netip.AddrPort{peer}})
}

var _ turn.RelayAddressGenerator = (*shard)(nil)
