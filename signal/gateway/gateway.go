package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	gorilla "github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"icebox/signal"
	"icebox/signal/rate"
)

// Options are fixed for the life of a gateway.
type Options struct {
	Hub        *signal.Hub
	ICE        signal.ICEProvider    // nil: there are no ICE servers to give
	Pages      http.Handler          // nil: there are no pages
	Logger     *slog.Logger          // nil: discards
	Registerer prometheus.Registerer // nil: no registration
}

// Listener is what listeners may differ in.
type Listener struct {
	// Loopback: it is bound to a loopback address.
	Loopback bool
	// TLS: its connections are encrypted.
	TLS bool
	// Mounts are the protocols. A request goes to the first one that it matches, and otherwise to ICE servers or pages.
	Mounts []Mount
}

// Gateway serves the HTTP listeners of the daemon.
type Gateway struct {
	opts    Options
	log     *slog.Logger
	metrics *metrics
	rules   atomic.Pointer[rules]
	conns   connections
	mints   mints
}

// New returns a Gateway. The limits are set as by SetLimits.
func New(o Options, l signal.Limits) (*Gateway, error) {
	if o.Hub == nil {
		return nil, errors.New("make a gateway: there is no hub")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Pages == nil {
		o.Pages = http.NotFoundHandler()
	}
	g := &Gateway{
		opts: o, log: o.Logger,
		conns: connections{addrs: make(map[netip.Addr]int)},
		mints: mints{addrs: rate.NewTable(maxMintBuckets)},
	}
	if err := g.SetLimits(l); err != nil {
		return nil, fmt.Errorf("make a gateway: %w", err)
	}
	var err error
	if g.metrics, err = newMetrics(o.Registerer, &g.conns); err != nil {
		return nil, fmt.Errorf("make a gateway: %w", err)
	}
	return g, nil
}

// SetLimits replaces the limits, the hub's included, or changes nothing and says what is wrong with them.
func (g *Gateway) SetLimits(l signal.Limits) error {
	set, err := g.PrepareLimits(l)
	if err != nil {
		return err
	}
	set()
	return nil
}

// PrepareLimits is SetLimits in two steps: all that can fail, and set, which can't.
func (g *Gateway) PrepareLimits(l signal.Limits) (set func(), err error) {
	r, invalid := compile(l)
	setHub, err := g.opts.Hub.PrepareLimits(l)
	if err := errors.Join(err, invalid); err != nil {
		return nil, err
	}
	return func() {
		setHub()
		g.rules.Store(r)
	}, nil
}

// CanAnswerInline reports whether a request is for a WebSocket and can be answered without asking anybody, such as who has the keys
// of tokens.
func (g *Gateway) CanAnswerInline(r *http.Request) bool {
	return WebSocketPath(r) && gorilla.IsWebSocketUpgrade(r) &&
		g.rules.Load().limits.Access != signal.ByToken && !g.opts.Hub.Draining()
}

// Listener returns the handler of one listener.
func (g *Gateway) Listener(l Listener) http.Handler {
	h := &listener{Gateway: g, Listener: l}
	for _, m := range l.Mounts {
		h.mounts = append(h.mounts, mount{m, g.metrics.routes.WithLabelValues(m.Route)})
	}
	return h
}

// listener is the handler of one listener.
type listener struct {
	*Gateway
	Listener
	mounts []mount
}

// ServeHTTP implements http.Handler.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m := l.mount(r); m != nil {
		m.serve(l, w, r)
		return
	}
	if d, account := matchICE(r); d != nil {
		l.metrics.requests[toICE].Inc()
		l.serveICE(w, r, d, account)
		return
	}
	l.metrics.requests[toPages].Inc()
	l.opts.Pages.ServeHTTP(w, r)
}

// refusals is how a WebSocket's refusal is answered.
var refusals = map[reason]struct {
	status int
	text   string
}{
	badMethod:    {http.StatusUpgradeRequired, "this is a WebSocket endpoint"},
	badOrigin:    {http.StatusForbidden, "pages of this origin may not connect here"},
	noKey:        {http.StatusUnauthorized, "connect with ?key= on the URL"},
	badKey:       {http.StatusForbidden, "this key is not known here"},
	noToken:      {http.StatusUnauthorized, "connect with ?token= on the URL"},
	badToken:     {http.StatusForbidden, "this token is not good here"},
	connsPerAddr: {http.StatusTooManyRequests, "too many connections from your address"},
	connsTotal:   {http.StatusServiceUnavailable, "too many connections"},
	restarting:   {http.StatusServiceUnavailable, "the server is about to restart"},
}

// mayConnect judges a WebSocket's request by where it comes from.
func (l *listener) mayConnect(r *http.Request, c caller, rules *rules) (why reason, ok bool) {
	switch {
	case !gorilla.IsWebSocketUpgrade(r):
		return badMethod, false
	case l.opts.Hub.Draining():
		return restarting, false
	case !rules.admitsOrigin(r.Header["Origin"], c):
		return badOrigin, false
	}
	return 0, true
}

// writeRefusal answers who may not come in.
func writeRefusal(w http.ResponseWriter, why reason) {
	answer := refusals[why]
	switch answer.status {
	case http.StatusUpgradeRequired:
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "10")
	}
	http.Error(w, answer.text, answer.status)
}

// countRefusal counts a refusal and notes it. The URL stays out of the log: keys are in it.
func (g *Gateway) countRefusal(c caller, why reason) {
	g.metrics.refused[why].Inc()
	g.log.Debug("request refused", slog.Any("addr", c.addr), slog.String("reason", why.String()))
}

// mint asks the provider for ICE servers within the limits.
func (g *Gateway) mint(ctx context.Context, r signal.ICERequest, addrKey netip.Addr, v via) (signal.ICEServers, error) {
	if g.opts.ICE == nil {
		return signal.ICEServers{}, signal.ErrUnavailable
	}
	if err := g.mints.takeToken(addrKey, &g.rules.Load().limits, time.Now()); err != nil {
		var limit *mintLimit
		if errors.As(err, &limit) {
			g.countRefusal(caller{addr: r.Addr}, limit.reason)
		}
		return signal.ICEServers{}, err
	}
	if r.Call != "" {
		v = viaCall
	}
	s, err := g.opts.ICE(ctx, r)
	if err == nil {
		g.metrics.minted[v].Inc()
	}
	return s, err
}

// SignInICE is the provider for sign-ins, those of adapters too: Options.ICE within the limits on minting.
func (g *Gateway) SignInICE(ctx context.Context, r signal.ICERequest) (signal.ICEServers, error) {
	return g.mint(ctx, r, caller{addr: r.Addr}.addrKey(), viaSignIn)
}

// retryAfter is how many seconds to wait, at least one.
func retryAfter(d time.Duration) string {
	return strconv.Itoa(max(1, int((d+time.Second-1)/time.Second)))
}
