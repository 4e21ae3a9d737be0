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
	*crossing

	mu     sync.Mutex // one request at a time; guards what follows outside of Pion's goroutine
	closed bool
	// Owned by do, and while a request is under way by Pion's goroutine.
	request  stun.Message
	nonce    stun.Nonce
	current  *Allocation
	hooks    *Hooks
	openErr  error
	response []byte
	answer   stun.Message // response, decoded
}

func newShard() (*shard, error) {
	s := &shard{
		key:      make([]byte, 16),
		crossing: newCrossing(),
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
	s.over() // Pion is ready now
	// An unsigned Allocate is answered with Pion's nonce.
	s.current = &Allocation{source: &net.UDPAddr{IP: net.IPv6loopback, Port: 1}}
	(&ask{method: stun.MethodAllocate}).write(&s.request, nil)
	if err := s.exchange(); err != nil {
		return nil, err
	}
	return s, s.nonce.GetFrom(&s.answer)
}

// close ends the turn.Server, which closes the stubs of allocations that are still alive.
func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	_ = s.server.Close() // closes s, see Close below, which can't fail
}

// do runs one request for a through Pion. hooks are given with Allocate only.
func (s *shard) do(a *Allocation, hooks *Hooks, what ask) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.current, s.hooks, s.openErr = a, hooks, nil
	defer func() { s.current, s.hooks = nil, nil }()
	for range 2 {
		what.write(&s.request, s.nonce)
		if err := s.key.AddTo(&s.request); err != nil {
			return fmt.Errorf("sign: %w", err)
		}
		if err := s.exchange(); err != nil {
			return err
		}
		if s.answer.Type.Class == stun.ClassSuccessResponse {
			return nil
		}
		if s.openErr != nil {
			return s.openErr
		}
		var code stun.ErrorCodeAttribute
		if err := code.GetFrom(&s.answer); err == nil && code.Code == stun.CodeStaleNonce {
			if err := s.nonce.GetFrom(&s.answer); err != nil {
				return fmt.Errorf("read nonce: %w", err)
			}
			continue // Pion's nonces live for an hour
		}
		return fmt.Errorf("%w: %v", ErrRefused, code.Code)
	}
	return fmt.Errorf("%w: stale nonce twice", ErrRefused)
}

// exchange gives Pion the request and waits until it is done with it.
func (s *shard) exchange() error {
	s.response = nil
	s.over()
	if s.response == nil {
		return ErrGone // Pion answers nothing where there is no allocation
	}
	s.answer.Raw = s.response
	if err := s.answer.Decode(); err != nil {
		return fmt.Errorf("decode Pion's answer: %w", err)
	}
	return nil
}

// ReadFrom is called by Pion when the previous request is done and it wants the next.
func (s *shard) ReadFrom(p []byte) (int, net.Addr, error) {
	if !s.back() {
		return 0, nil, net.ErrClosed
	}
	return copy(p, s.request.Raw), s.current.source, nil
}

// WriteTo is Pion's answer to the request under way. Pion does not use p again.
func (s *shard) WriteTo(p []byte, _ net.Addr) (int, error) {
	s.response = p
	return len(p), nil
}

// Close is called once, by the turn.Server.
func (s *shard) Close() error {
	s.end()
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
	s.current.relay = &relayStub{closed: s.hooks.Closed}
	return s.current.relay, net.UDPAddrFromAddrPort(addr), nil
}

// AllocateConn would open a TCP relay (RFC 6062), which icebox does not offer.
func (s *shard) AllocateConn(string, int) (net.Conn, net.Addr, error) {
	return nil, nil, errors.New("no TCP relays")
}
