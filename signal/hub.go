package signal

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/signal/broker"
	"icebox/signal/budget"
)

// Options do not change during the life of a hub. A zero field means the default in its comment.
type Options struct {
	Engine     broker.Engine         // a new broker.Memory
	Logger     *slog.Logger          // discards everything
	Registerer prometheus.Registerer // metrics are not registered

	// ClientPrefix returns the prefix whose addresses count as one client address for all limits. The default is a prefix
	// of that single address.
	ClientPrefix func(netip.Addr) netip.Prefix

	PingEvery  time.Duration // 10 s; well below 60 s, after which many proxies cut an idle connection
	PongWithin time.Duration // 5 s; at most PingEvery
	ProbeWait  time.Duration // 1 s; for the answer to a ping that is sent because another client claims the name
	WriteWait  time.Duration // 10 s; for writing one frame
	ClaimWait  time.Duration // 4 s; for a call of the broker; should be less than PongWithin
}

func (o *Options) fill() error {
	if o.Engine == nil {
		o.Engine = broker.NewMemory()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ClientPrefix == nil {
		o.ClientPrefix = func(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
	}
	o.PingEvery = cmp.Or(o.PingEvery, 10*time.Second)
	o.PongWithin = cmp.Or(o.PongWithin, 5*time.Second)
	o.ProbeWait = cmp.Or(o.ProbeWait, time.Second)
	o.WriteWait = cmp.Or(o.WriteWait, 10*time.Second)
	o.ClaimWait = cmp.Or(o.ClaimWait, 4*time.Second)
	if o.PingEvery < wheelSlots || o.PongWithin > o.PingEvery {
		return fmt.Errorf("PongWithin (%v) is longer than PingEvery (%v), or PingEvery is too short", o.PongWithin, o.PingEvery)
	}
	if o.ProbeWait < 0 || o.WriteWait < 0 || o.ClaimWait < 0 {
		return errors.New("ProbeWait, WriteWait or ClaimWait is negative")
	}
	return nil
}

// Hub owns the clients of this process.
type Hub struct {
	opts     Options
	log      *slog.Logger
	metrics  *metrics
	epoch    time.Time
	broker   broker.Broker
	nodeID   broker.ID
	limits   atomic.Pointer[Limits]
	clients  registry
	reserved budget.Budget // memory for waiting messages, beyond uncountedBytes for each queue and buffer
	wheel    pingWheel

	ctx    context.Context // see DoneContext
	cancel context.CancelFunc

	drainingCtx   context.Context // see DrainingContext
	startDraining context.CancelFunc

	mu         sync.RWMutex // held for reading by Connect, for writing by Shutdown
	draining   bool
	tracked    sync.WaitGroup // connected clients, and everything else that was passed to Track
	background sync.WaitGroup // the goroutine of the wheel
}

// New returns a running Hub. Shutdown ends it.
func New(o Options, l Limits) (*Hub, error) {
	if err := o.fill(); err != nil {
		return nil, fmt.Errorf("make a hub: %w", err)
	}
	h := &Hub{opts: o, log: o.Logger, epoch: time.Now()}
	if err := h.SetLimits(l); err != nil {
		return nil, fmt.Errorf("make a hub: %w", err)
	}
	var err error
	if h.metrics, err = newMetrics(o.Registerer, &h.reserved); err != nil {
		return nil, fmt.Errorf("make a hub: %w", err)
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.drainingCtx, h.startDraining = context.WithCancel(context.Background())
	h.broker, h.nodeID, err = o.Engine.Join(h.ctx, node{h})
	if err != nil {
		h.cancel()
		h.startDraining()
		return nil, fmt.Errorf("join the broker: %w", err)
	}
	h.clients.init()
	h.wheel.init(o.PingEvery, o.PongWithin)
	h.background.Go(func() { h.wheel.run(h.ctx, h.now) })
	return h, nil
}

// SetLimits replaces the limits.
func (h *Hub) SetLimits(l Limits) error {
	set, err := h.PrepareLimits(l)
	if err != nil {
		return err
	}
	set()
	return nil
}

// PrepareLimits is SetLimits in two steps: it does everything that can fail, and the returned set applies the limits.
func (h *Hub) PrepareLimits(l Limits) (set func(), err error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	return func() { h.limits.Store(&l) }, nil
}

// Limits returns the current limits. The caller must not modify them.
func (h *Hub) Limits() *Limits { return h.limits.Load() }

// now returns the hub's time: the time since the hub was made, on the monotonic clock.
func (h *Hub) now() time.Duration { return time.Since(h.epoch) }

// AddrKey returns the address under which limits count a: the first one of its prefix, see Options.ClientPrefix.
func (h *Hub) AddrKey(a netip.Addr) netip.Addr { return h.opts.ClientPrefix(a).Addr() }

// Draining reports whether the hub is shutting down and accepts no new clients.
func (h *Hub) Draining() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.draining
}

// Connect returns a new client for a connection. The caller then reads the connection, calls the client's methods for the
// messages that arrive, and calls [Client.Close] when reading ends. Shutdown waits for that call. The error is
// ErrRestarting, or ErrBadName if the namespace is too long.
func (h *Hub) Connect(conn Conn, p Profile, v Visitor) (*Client, error) {
	if len(p.Namespace) > MaxNamespace {
		return nil, ErrBadName
	}
	c := newClient(h, conn, p, v)
	if r, ok := conn.(Resumable); ok {
		r.Bind(c)
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.draining {
		return nil, ErrRestarting
	}
	h.tracked.Add(1)
	h.clients.addClient(c)
	c.wheelSlot = h.wheel.addClient(c)
	h.metrics.connected(p.Protocol)
	c.debug("client connected", slog.String("protocol", p.Protocol), slog.Any("addr", v.Addr), slog.String("key", v.Key))
	return c, nil
}

// InitMetrics creates the metrics of a protocol, so that they exist before its first client connects. Each protocol package
// calls it once.
func (h *Hub) InitMetrics(protocol string) { h.metrics.connections.WithLabelValues(protocol) }

// CountRefusal counts a refusal that a protocol package is about to send to a client.
func (h *Hub) CountRefusal(e *Error) { _ = h.metrics.countRefusal(e) }

// DoneContext returns a context that ends when Shutdown stops waiting for clients, or when the last one has ended. Every
// wait of a client's reader should end when this context ends.
func (h *Hub) DoneContext() context.Context { return h.ctx }

// DrainingContext returns a context that ends when Shutdown begins.
func (h *Hub) DrainingContext() context.Context { return h.drainingCtx }

// Track makes Shutdown wait until done is called. It is for work that does not belong to a client, such as a connection that
// has yet to sign in. That work should end with DrainingContext, and must end with DoneContext. The error is ErrRestarting.
func (h *Hub) Track() (done func(), err error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.draining {
		return nil, ErrRestarting
	}
	h.tracked.Add(1)
	return h.tracked.Done, nil
}

// SignedInClient returns the client whose [Client.Token] is token, if it is connected and signed in.
func (h *Hub) SignedInClient(token string) (*Client, bool) {
	c, ok := h.ClientByToken(token)
	return c, ok && c.Name() != ""
}

// ClientByToken returns the client whose [Client.Token] is token, if it is connected.
func (h *Hub) ClientByToken(token string) (*Client, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != tokenLen {
		return nil, false
	}
	c, ok := h.clients.get(broker.ID(raw[:len(broker.ID{})]))
	if !ok || subtle.ConstantTimeCompare(c.secret[:], raw[len(broker.ID{}):]) != 1 {
		return nil, false
	}
	return c, true
}

// Shutdown refuses new clients, tells every client to reconnect, and waits until all have disconnected. If ctx ends first, it
// aborts their connections and returns an error that wraps the context's. In both cases all goroutines of the hub have ended
// when it returns.
func (h *Hub) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	h.startDraining()

	h.clients.each(func(c *Client) { c.End(Restarting) })
	allEnded := make(chan struct{})
	var waiter sync.WaitGroup
	waiter.Go(func() { h.tracked.Wait(); close(allEnded) })
	var timeout error
	select {
	case <-allEnded:
	case <-ctx.Done():
		timeout = fmt.Errorf("wait for clients: %w", ctx.Err())
		h.cancel()
		h.clients.each(func(c *Client) { c.conn.Abort() })
	}
	waiter.Wait()
	h.cancel()
	h.background.Wait()
	leaveCtx, cancel := context.WithTimeout(context.Background(), h.opts.ClaimWait)
	defer cancel()
	if err := h.broker.Leave(leaveCtx); err != nil {
		return fmt.Errorf("leave the broker: %w", err)
	}
	return timeout
}
