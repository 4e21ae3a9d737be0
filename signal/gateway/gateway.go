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
	ICE        signal.ICEProvider    // nil: there are no ICE servers
	Pages      http.Handler          // nil: there are no pages
	Logger     *slog.Logger          // nil: nothing is logged
	Registerer prometheus.Registerer // nil: there are no metrics
}

// Listener describes one listener.
type Listener struct {
	// Loopback is true if the listener is bound to a loopback address.
	Loopback bool
	// TLS is true if its connections are encrypted.
	TLS bool
	// Mounts are the protocols. The first mount that matches a request gets it. Other requests are for ICE servers or pages.
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

// New returns a Gateway with limits l.
func New(o Options, l signal.Limits) (*Gateway, error) {
	if o.Hub == nil {
		return nil, errors.New("create gateway: no hub")
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
		return nil, fmt.Errorf("create gateway: %w", err)
	}
	var err error
	if g.metrics, err = newMetrics(o.Registerer, &g.conns); err != nil {
		return nil, fmt.Errorf("create gateway: %w", err)
	}
	return g, nil
}

// SetLimits replaces the limits of the gateway and of the hub. If they are invalid it changes nothing and returns all errors.
func (g *Gateway) SetLimits(l signal.Limits) error {
	set, err := g.PrepareLimits(l)
	if err != nil {
		return err
	}
	set()
	return nil
}

// PrepareLimits is SetLimits in two steps: PrepareLimits does everything that can fail, and set cannot fail.
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

// CanAnswerInline reports whether a request is for a WebSocket and can be answered without blocking. With access by token it cannot,
// because verifying a token may need a request for keys.
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

// refusals has the HTTP response for each reason to refuse a WebSocket.
var refusals = map[reason]struct {
	status int
	text   string
}{
	badMethod:    {http.StatusUpgradeRequired, "this is a WebSocket endpoint"},
	badOrigin:    {http.StatusForbidden, "pages of this origin may not connect here"},
	noKey:        {http.StatusUnauthorized, "this server requires an API key: add ?key= to the URL"},
	badKey:       {http.StatusForbidden, "this server does not know the API key"},
	noToken:      {http.StatusUnauthorized, "this server requires a token: add ?token= to the URL"},
	badToken:     {http.StatusForbidden, "the token is not valid on this server"},
	connsPerAddr: {http.StatusTooManyRequests, "too many connections from your address"},
	connsTotal:   {http.StatusServiceUnavailable, "too many connections"},
	restarting:   {http.StatusServiceUnavailable, "the server is about to restart"},
}

// mayConnect reports whether a request asks for a WebSocket, the hub accepts clients, and the request's origin is admitted.
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

// writeRefusal writes the response to a refused request.
func writeRefusal(w http.ResponseWriter, why reason) {
	refused := refusals[why]
	switch refused.status {
	case http.StatusUpgradeRequired:
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "10")
	}
	http.Error(w, refused.text, refused.status)
}

// countRefusal counts and logs a refusal. It does not log the URL, which may contain a key.
func (g *Gateway) countRefusal(c caller, why reason) {
	g.metrics.refused[why].Inc()
	g.log.Debug("request refused", slog.Any("addr", c.addr), slog.String("reason", why.String()))
}

// addrKey returns the address by which limits count the caller.
func (g *Gateway) addrKey(c caller) netip.Addr { return g.opts.Hub.AddrKey(c.addr) }

// mint returns ICE servers from the provider, or a *mintLimit if a limit on minting is reached.
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

// SignInICE is the ICEProvider for sign-ins of all protocols: Options.ICE within the limits on minting.
func (g *Gateway) SignInICE(ctx context.Context, r signal.ICERequest) (signal.ICEServers, error) {
	return g.mint(ctx, r, g.opts.Hub.AddrKey(r.Addr), viaSignIn)
}

// retryAfter returns d in whole seconds for a Retry-After header, at least 1.
func retryAfter(d time.Duration) string {
	return strconv.Itoa(max(1, int((d+time.Second-1)/time.Second)))
}
