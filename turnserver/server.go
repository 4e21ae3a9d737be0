package turnserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"icebox/turnserver/dtlsgate"
	"icebox/turnserver/engine"
	"icebox/turnserver/limit"
	"icebox/turnserver/packetio"
)

// ErrClosed is returned by methods that are called after Close.
var ErrClosed = errors.New("turn server is closed")

// Server is a STUN/TURN server. It serves the sockets, listeners and connections that it is given.
type Server struct {
	// Static.
	opts          Options
	log           *slog.Logger
	engine        *engine.Engine
	hosts         map[netip.Addr]*relayHost // by both addresses of a 1:1 NAT
	onlyLoopback  bool                      // every relay address is a loopback address
	nonces        *nonces
	gate          *dtlsgate.Gate
	quota         *quota
	replies       *limit.Replies
	authFailures  *limit.AuthFailures
	connections   *limit.Connections
	reservations  *reservations
	revoked       *revocations
	recentReplies *recentReplies
	epoch         time.Time
	tls           *tls.Config
	io            packetio.Loops
	metrics

	limits    atomic.Pointer[limits]
	bandwidth bandwidth
	nextID    atomic.Uint64

	endLogBucket limit.Bucket // for log lines about ended sessions
	unloggedEnds atomic.Int64 // ended sessions since the last such line

	nextLoopIndex atomic.Uint64 // of the next stream

	readers sync.WaitGroup // goroutines that serve listeners and streams
	ctx     context.Context
	cancel  context.CancelFunc

	draining atomic.Bool // set while mu is held

	mu       sync.Mutex
	closed   bool
	idle     chan struct{} // closed when the server is draining and has no sessions
	sessions map[uint64]*session
	closers  map[closer]struct{} // sockets, listeners and streams that Close closes
}

type closer interface{ Close() error }

// New returns a Server that has no sockets yet.
func New(o Options, l Limits) (*Server, error) {
	o.setDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("turn options: %w", err)
	}
	e, err := engine.New(o.Workers)
	if err != nil {
		return nil, fmt.Errorf("start engine: %w", err)
	}
	s := &Server{
		opts:          o,
		log:           o.Logger,
		engine:        e,
		hosts:         make(map[netip.Addr]*relayHost),
		onlyLoopback:  onlyLoopback(o.RelayAddrs),
		quota:         newQuota(),
		replies:       limit.NewReplies(),
		authFailures:  limit.NewAuthFailures(),
		connections:   limit.NewConnections(),
		reservations:  newReservations(),
		revoked:       newRevocations(),
		recentReplies: newRecentReplies(),
		io:            packetio.New(o.Workers),
		epoch:         time.Now(),
		sessions:      make(map[uint64]*session),
		closers:       make(map[closer]struct{}),
		idle:          make(chan struct{}),
	}
	s.tls = newTLSConfig(&s.opts)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for _, a := range o.RelayAddrs {
		h := newRelayHost(a, o.RelayPorts)
		s.hosts[a.Local], s.hosts[a.Advertised] = h, h
	}
	if s.nonces, err = newNonces(s.epoch); err == nil {
		s.gate, err = dtlsgate.New(s.epoch)
	}
	if err == nil {
		err = s.SetLimits(l)
	}
	if err == nil {
		err = s.metrics.init(s, o.Registerer)
	}
	if err != nil {
		e.Close()
		return nil, err
	}
	return s, nil
}

// SetLimits replaces the limits. They apply to live sessions too: a peer that the new rules deny is cut off from the next packet
// on.
func (s *Server) SetLimits(l Limits) error {
	set, err := s.PrepareLimits(l)
	if err != nil {
		return err
	}
	set()
	return nil
}

// PrepareLimits splits SetLimits into two steps. PrepareLimits does everything that can fail. set replaces the limits
// and cannot fail.
func (s *Server) PrepareLimits(l Limits) (set func(), err error) {
	compiled, err := newLimits(l, &s.opts)
	if err != nil {
		return nil, fmt.Errorf("turn limits: %w", err)
	}
	return func() { s.limits.Store(compiled) }, nil
}

// clock returns the wall-clock time. Tests use testing/synctest instead of replacing it.
func (s *Server) clock() time.Time { return time.Now() }

// now returns the time since the server was created in nanoseconds, by the monotonic clock.
func (s *Server) now() int64 { return int64(time.Since(s.epoch)) }

// nextLoop returns the packetio worker for a new stream. Workers take turns.
func (s *Server) nextLoop() int { return int(s.nextLoopIndex.Add(1) % uint64(s.io.Workers())) }

// addSession adds a session, or returns false if the server is closed or draining.
func (s *Server) addSession(sess *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.draining.Load() {
		return false
	}
	s.sessions[sess.id] = sess
	return true
}

// end deletes the allocation of sess. When end returns, finish has returned.
func (s *Server) end(sess *session, reason EndReason) {
	sess.reason.CompareAndSwap(nil, reason)
	sess.allocation.Delete()
}

// finish removes a session from everything that refers to it. The state machine calls it once, when the allocation has ended.
func (s *Server) finish(sess *session) {
	sess.ended.Store(true)
	for _, r := range sess.relays.all() {
		r.close()
	}
	sess.path.detach(sess)
	s.mu.Lock()
	_, adopted := s.sessions[sess.id]
	delete(s.sessions, sess.id)
	s.signalIdle()
	s.mu.Unlock()
	if !adopted {
		return
	}
	sess.entry.release()
	sess.reason.CompareAndSwap(nil, EndExpired)
	reason := sess.reason.Load().(EndReason)
	i := sess.info(s.now())
	s.metrics.recordEnd(&i, reason)
	s.logEnd(&i, reason)
}

// signalIdle closes idle if the server is draining and has no sessions. The caller holds mu.
func (s *Server) signalIdle() {
	if !s.draining.Load() || len(s.sessions) > 0 {
		return
	}
	select {
	case <-s.idle:
	default:
		close(s.idle)
	}
}

// Drain refuses new allocations from now on, see [Limits.AlternateServers], and waits until the last session has ended
// or ctx is done.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining.Store(true)
	s.signalIdle()
	s.mu.Unlock()
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-s.idle: // both channels were ready
		return nil
	default:
		return ctx.Err()
	}
}

// Close ends every session, closes every socket, listener and stream, and waits for all goroutines.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	for _, sess := range s.snapshot() {
		s.end(sess, EndShutdown)
	}
	s.reservations.close()
	s.mu.Lock()
	closers := s.closers
	s.closers = nil
	s.mu.Unlock()
	err := closeAll(closers)
	s.readers.Wait()
	s.io.Close()
	s.engine.Close()
	return err
}

// closeAll closes in parallel, because closing a TLS connection whose client does not read can block for seconds.
func closeAll(closers map[closer]struct{}) error {
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for c := range closers {
		wg.Go(func() {
			if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// runTracked runs work in a goroutine. Close closes c and waits for the goroutine; when work returns, c is closed. If the server is
// already closed, runTracked closes c and returns ErrClosed.
func (s *Server) runTracked(c closer, work func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.track(c); err != nil {
		return err
	}
	s.readers.Go(func() {
		defer s.untrack(c)
		work()
	})
	return nil
}

// track makes Close close c. If the server is already closed, it closes c and returns ErrClosed. The caller holds mu.
func (s *Server) track(c closer) error {
	if s.closed {
		_ = c.Close() // it was never used
		return ErrClosed
	}
	s.closers[c] = struct{}{}
	return nil
}

// untrack closes c and undoes track.
func (s *Server) untrack(c closer) {
	s.mu.Lock()
	delete(s.closers, c)
	s.mu.Unlock()
	_ = c.Close() // it is not needed any more
}
