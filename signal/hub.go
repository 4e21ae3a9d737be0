package signal

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/signal/broker"
	"icebox/signal/budget"
)

// Options are fixed for the life of a hub. Zero values mean the defaults named.
type Options struct {
	Engine     broker.Engine         // a Memory of its own
	Logger     *slog.Logger          // discards
	Registerer prometheus.Registerer // no registration

	PingEvery  time.Duration // 10 s; proxies cut a connection that is idle for 60 s
	PongWithin time.Duration // 5 s, at most PingEvery
	ProbeWait  time.Duration // 1 s
	WriteWait  time.Duration // 10 s for one frame
	ClaimWait  time.Duration // 4 s, less than PongWithin, for a call of the broker
}

func (o *Options) fill() error {
	if o.Engine == nil {
		o.Engine = broker.NewMemory()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.PingEvery = cmp.Or(o.PingEvery, 10*time.Second)
	o.PongWithin = cmp.Or(o.PongWithin, 5*time.Second)
	o.ProbeWait = cmp.Or(o.ProbeWait, time.Second)
	o.WriteWait = cmp.Or(o.WriteWait, 10*time.Second)
	o.ClaimWait = cmp.Or(o.ClaimWait, 4*time.Second)
	if o.PingEvery < wheelSlots || o.PongWithin > o.PingEvery {
		return fmt.Errorf("ping every %v with a pong within %v makes no sense", o.PingEvery, o.PongWithin)
	}
	if o.ProbeWait < 0 || o.WriteWait < 0 || o.ClaimWait < 0 {
		return fmt.Errorf("a time to wait is negative")
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
	reserved budget.Budget // what waits for clients beyond what each may have uncounted
	wheel    pingWheel

	ctx    context.Context // ends when Shutdown stops waiting
	cancel context.CancelFunc

	drainingCtx   context.Context // ends when Shutdown begins
	startDraining context.CancelFunc

	mu         sync.RWMutex // held for reading by Connect, for writing by Shutdown
	draining   bool
	tracked    sync.WaitGroup // one for every connected client and whatever else attends
	background sync.WaitGroup // the wheel
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

// PrepareLimits is SetLimits in two steps: all that can fail, and set, which can't.
func (h *Hub) PrepareLimits(l Limits) (set func(), err error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	return func() { h.limits.Store(&l) }, nil
}

// Limits returns the limits in force. Treat what it points to as read-only.
func (h *Hub) Limits() *Limits { return h.limits.Load() }

// now is the time since the hub was made, which never goes back.
func (h *Hub) now() time.Duration { return time.Since(h.epoch) }

// Draining reports whether the hub is shutting down and takes no newcomers.
func (h *Hub) Draining() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.draining
}

// Connect makes a client of a connection. The caller then reads the connection, tells the client what it
// reads, and calls [Client.Close] when reading ends: Shutdown waits for that. The error is ErrRestarting, or ErrBadName for a space
// that is too long.
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

// InitMetrics makes a protocol's metric exist before its first client does. Adapters call it when they are made.
func (h *Hub) InitMetrics(protocol string) { h.metrics.connections.WithLabelValues(protocol) }

// CountRefusal counts a refusal that an adapter is about to tell a client.
func (h *Hub) CountRefusal(e *Error) { _ = h.metrics.countRefusal(e) }

// DoneContext ends when the hub stops waiting for its clients. What a client's reader calls should end with it.
func (h *Hub) DoneContext() context.Context { return h.ctx }

// DrainingContext ends when Shutdown begins, and DoneContext when it stops waiting.
func (h *Hub) DrainingContext() context.Context { return h.drainingCtx }

// Track makes Shutdown wait for something that is no client, such as a connection that has yet to sign in,
// until done is called. What it waits for should end with DrainingContext, and has to end with DoneContext.
func (h *Hub) Track() (done func(), err error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.draining {
		return nil, ErrRestarting
	}
	h.tracked.Add(1)
	return h.tracked.Done, nil
}

// SignedInClient returns the client that a token was given to, as long as it is connected and signed in.
func (h *Hub) SignedInClient(token string) (*Client, bool) {
	c, ok := h.ClientByToken(token)
	return c, ok && c.Name() != ""
}

// ClientByToken returns the client that a token was given to, as long as it is connected.
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

// Shutdown refuses newcomers, tells every client to reconnect, and waits until all have gone. When ctx ends
// first it cuts them off and returns the context's error. Either way nothing of the hub runs afterwards.
func (h *Hub) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	h.startDraining()

	h.clients.each(func(c *Client) { c.End(Restarting) })
	gone := make(chan struct{})
	var waiter sync.WaitGroup
	waiter.Go(func() { h.tracked.Wait(); close(gone) })
	var cut error
	select {
	case <-gone:
	case <-ctx.Done():
		cut = fmt.Errorf("wait for clients: %w", ctx.Err())
		h.cancel()
		h.clients.each(func(c *Client) { c.conn.Abort() })
	}
	waiter.Wait()
	h.cancel()
	h.background.Wait()
	leaving, done := context.WithTimeout(context.Background(), h.opts.ClaimWait)
	defer done()
	if err := h.broker.Leave(leaving); err != nil {
		return fmt.Errorf("leave the broker: %w", err)
	}
	return cut
}
