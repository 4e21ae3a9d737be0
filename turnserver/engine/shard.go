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

// The user that the engine presents to Pion. The server has authenticated the client before.
const (
	realm    = "engine"
	username = "engine"
)

// shard is one turn.Server and the net.PacketConn it reads from.
type shard struct {
	memoryAddr
	server *turn.Server
	key    stun.MessageIntegrity
	*handoff

	mu     sync.Mutex // held during a request
	closed bool
	// For the goroutine that holds mu, and during a request for Pion's goroutine, which then runs instead of it.
	request  stun.Message
	nonce    stun.Nonce
	current  *Allocation
	hooks    *Hooks
	openErr  error
	response []byte
	decoded  stun.Message // response
}

func newShard() (*shard, error) {
	s := &shard{
		key:     make([]byte, 16),
		handoff: newHandoff(),
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
	s.resumePion() // until it reads its first request
	// Pion replies to an unsigned Allocate with its nonce.
	s.current = &Allocation{source: &net.UDPAddr{IP: net.IPv6loopback, Port: 1}}
	(&canonicalRequest{method: stun.MethodAllocate}).write(&s.request, nil)
	if err := s.exchange(); err != nil {
		return nil, err
	}
	return s, s.nonce.GetFrom(&s.decoded)
}

// close closes the turn.Server, which closes the stubs of all live allocations.
func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	_ = s.server.Close() // its only error would come from Close below, which returns none
}

// do sends one request for a to Pion and returns its result. hooks is nil except for Allocate.
func (s *shard) do(a *Allocation, hooks *Hooks, what canonicalRequest) error {
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
		if s.decoded.Type.Class == stun.ClassSuccessResponse {
			return nil
		}
		if s.openErr != nil {
			return s.openErr
		}
		var code stun.ErrorCodeAttribute
		if err := code.GetFrom(&s.decoded); err == nil && code.Code == stun.CodeStaleNonce {
			if err := s.nonce.GetFrom(&s.decoded); err != nil {
				return fmt.Errorf("read nonce: %w", err)
			}
			continue // Pion's nonces expire after an hour
		}
		return fmt.Errorf("%w: %v", ErrRefused, code.Code)
	}
	return fmt.Errorf("%w: stale nonce twice", ErrRefused)
}

// exchange lets Pion process s.request and decodes its response.
func (s *shard) exchange() error {
	s.response = nil
	s.resumePion()
	if s.response == nil {
		return ErrGone // Pion does not respond if there is no allocation
	}
	s.decoded.Raw = s.response
	if err := s.decoded.Decode(); err != nil {
		return fmt.Errorf("decode Pion's response: %w", err)
	}
	return nil
}

// ReadFrom implements net.PacketConn. Pion calls it when it has processed the previous request.
func (s *shard) ReadFrom(p []byte) (int, net.Addr, error) {
	if !s.yieldToCaller() {
		return 0, nil, net.ErrClosed
	}
	return copy(p, s.request.Raw), s.current.source, nil
}

// WriteTo implements net.PacketConn. Pion calls it with its response to the current request and does not use p again.
func (s *shard) WriteTo(p []byte, _ net.Addr) (int, error) {
	s.response = p
	return len(p), nil
}

// Close implements net.PacketConn. The turn.Server calls it once.
func (s *shard) Close() error {
	s.end()
	return nil
}

// Validate implements turn.RelayAddressGenerator.
func (s *shard) Validate() error { return nil }

// AllocatePacketConn implements turn.RelayAddressGenerator. Pion calls it between ReadFrom and WriteTo when it accepts an
// Allocate.
func (s *shard) AllocatePacketConn(string, int) (net.PacketConn, net.Addr, error) {
	addr, err := s.hooks.Open()
	if err != nil {
		s.openErr = err
		return nil, nil, err
	}
	s.current.relay = &relayStub{closed: s.hooks.Closed}
	return s.current.relay, net.UDPAddrFromAddrPort(addr), nil
}

// AllocateConn implements turn.RelayAddressGenerator. It would open a TCP relay (RFC 6062), which icebox does not support.
func (s *shard) AllocateConn(string, int) (net.Conn, net.Addr, error) {
	return nil, nil, errors.New("no TCP relays")
}
