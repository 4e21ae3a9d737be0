package engine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/pion/stun/v2"
	"github.com/pion/turn/v3"
)

// The engine's own identity towards Pion; clients were authenticated before.
const (
	realm    = "engine"
	username = "engine"
)

// shard is one turn.Server and the net.PacketConn it reads from.
type shard struct {
	memoryAddr
	server *turn.Server
	key    stun.MessageIntegrity
	in     chan []byte
	done   chan struct{}
	closed chan struct{}

	mu sync.Mutex // one request at a time; guards what follows outside of Pion's goroutine
	// Owned by do, and while a request is under way by Pion's goroutine.
	nonce    stun.Nonce
	busy     bool
	current  *Allocation
	hooks    *Hooks
	openErr  error
	response []byte
}

func newShard() (*shard, error) {
	s := &shard{
		key:    make([]byte, 16),
		in:     make(chan []byte),
		done:   make(chan struct{}),
		closed: make(chan struct{}),
	}
	if _, err := rand.Read(s.key); err != nil {
		return nil, err
	}
	server, err := turn.NewServer(turn.ServerConfig{
		Realm:              realm,
		AuthHandler:        func(string, string, net.Addr) ([]byte, bool) { return s.key, true },
		LoggerFactory:      Silent(),
		ChannelBindTimeout: ChannelLifetime,
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            s,
			RelayAddressGenerator: s,
			PermissionHandler:     func(net.Addr, net.IP) bool { return true }, // the front has decided
		}},
	})
	if err != nil {
		return nil, err
	}
	s.server = server
	// An unsigned Allocate is answered with Pion's nonce.
	s.current = &Allocation{source: &net.UDPAddr{IP: net.IPv6loopback, Port: 1}}
	m, err := s.exchange(stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), requestedTransport))
	if err != nil {
		return nil, err
	}
	return s, s.nonce.GetFrom(m)
}

// close ends the turn.Server, which closes the stubs of allocations that are still alive.
func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.server.Close() // closes s, see Close below, which can't fail
}

// do runs one request for a through Pion. hooks are given with Allocate only.
func (s *shard) do(a *Allocation, hooks *Hooks, method stun.Method, attrs ...stun.Setter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.hooks, s.openErr = a, hooks, nil
	defer func() { s.current, s.hooks = nil, nil }()
	for range 2 {
		m, err := s.exchange(s.request(method, attrs))
		if err != nil {
			return err
		}
		if m.Type.Class == stun.ClassSuccessResponse {
			return nil
		}
		if s.openErr != nil {
			return s.openErr
		}
		var code stun.ErrorCodeAttribute
		if err := code.GetFrom(m); err == nil && code.Code == stun.CodeStaleNonce {
			if err := s.nonce.GetFrom(m); err != nil {
				return fmt.Errorf("read nonce: %w", err)
			}
			continue // Pion's nonces live for an hour
		}
		return fmt.Errorf("%w: %v", ErrRefused, code.Code)
	}
	return fmt.Errorf("%w: stale nonce twice", ErrRefused)
}

// request builds the canonical form of a request.
func (s *shard) request(method stun.Method, attrs []stun.Setter) *stun.Message {
	setters := append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}, attrs...)
	setters = append(setters, stun.NewUsername(username), stun.NewRealm(realm), s.nonce, s.key)
	return stun.MustBuild(setters...) // all attributes are our own and within their limits
}

// exchange gives Pion one message and waits until it is done with it.
func (s *shard) exchange(req *stun.Message) (*stun.Message, error) {
	s.response = nil
	select {
	case s.in <- req.Raw:
	case <-s.closed:
		return nil, ErrClosed
	}
	<-s.done
	if s.response == nil {
		return nil, ErrGone // Pion answers nothing where there is no allocation
	}
	m := &stun.Message{Raw: s.response}
	if err := m.Decode(); err != nil {
		return nil, fmt.Errorf("decode Pion's answer: %w", err)
	}
	return m, nil
}

// ReadFrom is called by Pion when the previous request is done and it wants the next.
func (s *shard) ReadFrom(p []byte) (int, net.Addr, error) {
	if s.busy {
		s.busy = false
		s.done <- struct{}{}
	}
	select {
	case b := <-s.in:
		s.busy = true
		return copy(p, b), s.current.source, nil
	case <-s.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo is Pion's answer to the request under way. Pion does not use p again.
func (s *shard) WriteTo(p []byte, _ net.Addr) (int, error) {
	s.response = p
	return len(p), nil
}

// Close is called once, by the turn.Server.
func (s *shard) Close() error {
	close(s.closed)
	return nil
}

// Validate implements turn.RelayAddressGenerator.
func (s *shard) Validate() error { return nil }

// AllocatePacketConn is called by Pion, between ReadFrom and WriteTo, when an Allocate is accepted.
func (s *shard) AllocatePacketConn(string, int) (net.PacketConn, net.Addr, error) {
	addr, err := s.hooks.Open()
	if err != nil {
		s.openErr = err
		return nil, nil, err
	}
	s.current.relay = &relayStub{closed: s.hooks.Closed, gone: make(chan struct{})}
	return s.current.relay, net.UDPAddrFromAddrPort(addr), nil
}

// AllocateConn would open a TCP relay (RFC 6062), which icebox does not offer.
func (s *shard) AllocateConn(string, int) (net.Conn, net.Addr, error) {
	return nil, nil, errors.New("no TCP relays")
}
