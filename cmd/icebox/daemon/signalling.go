package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/cmd/icebox/endpoints"
	"icebox/config"
	"icebox/signal"
	"icebox/signal/gateway"
	"icebox/signal/token"
	"icebox/signal/web"
	"icebox/turnserver/credential"
	"icebox/turnserver/limit"
)

// startSignalling makes the hub, and a handler for each listener of http.listen.
func (d *Daemon) startSignalling() error {
	log := d.signalLog()
	limits, tokens, err := signalLimits(d.cfg())
	if err != nil {
		return fmt.Errorf("start signalling: %w", err)
	}
	d.tokens = tokens
	hub, err := signal.New(hubOptions(log, d.registry), limits)
	if err != nil {
		return fmt.Errorf("start signalling: %w", err)
	}
	d.hub = hub
	d.gate, err = gateway.New(gateway.Options{
		Hub:        hub,
		ICE:        iceProvider(d.catalogue, credential.NewMinter(d.secret), func() time.Duration { return d.cfg().Credentials.TTL }),
		Pages:      web.Handler(web.Options{Registerer: d.registry}),
		Logger:     log,
		Registerer: d.registry,
	}, limits)
	if err != nil {
		return fmt.Errorf("start signalling: %w", err)
	}
	n, err := d.startNative()
	if err != nil {
		return fmt.Errorf("start signalling: %w", err)
	}
	for i, l := range d.cfg().HTTP.Listen {
		if l.Redirect {
			d.handlers = append(d.handlers, d.redirectToHTTPS())
			continue
		}
		local := l.Address.Loopback() && !l.ProxyProtocol // clients behind a PROXY header are on other hosts
		mounts, err := d.mounts(l, n)
		if err != nil {
			return fmt.Errorf("start signalling: %w", err)
		}
		h := d.gate.Listener(gateway.Listener{Loopback: local, TLS: l.TLS, Mounts: mounts})
		if local {
			h = d.watchForProxy(h, i)
		}
		d.handlers = append(d.handlers, h)
	}
	return nil
}

// hubOptions makes the hub count client addresses as the relay does, so that a limit per address means the same in both.
func hubOptions(log *slog.Logger, r prometheus.Registerer) signal.Options {
	return signal.Options{Logger: log, Registerer: r, ClientPrefix: limit.ClientPrefix}
}

// redirectToHTTPS redirects each request to the same path at the first listener that has TLS.
func (d *Daemon) redirectToHTTPS() http.Handler {
	port := ""
	i := slices.IndexFunc(d.cfg().HTTP.Listen, func(l config.HTTPListen) bool { return l.TLS })
	if i >= 0 && d.webGroup(i).Port != 443 {
		port = fmt.Sprintf(":%d", d.webGroup(i).Port)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := d.cfg().PublicHost
		if host == "" {
			host = d.catalogue.HostFor(hostOnly(r.Host))
		}
		http.Redirect(w, r, "https://"+endpoints.Bracketed(host)+port+r.URL.RequestURI(), http.StatusPermanentRedirect)
	})
}

// hostOnly returns a Host header without its port.
func hostOnly(header string) string {
	if host, _, err := net.SplitHostPort(header); err == nil {
		return host
	}
	return header
}

// fetchKeys fetches the keys of tokens before the first sign-in needs them, and logs a failure. No caller waits for it.
func (d *Daemon) fetchKeys(ctx context.Context) {
	if err := d.tokens.Prefetch(ctx); err != nil && ctx.Err() == nil {
		d.log.Warn("signal.jwt.jwks: nobody can sign in until the keys can be fetched", "err", err)
	}
}

// Check returns an error for mistakes in a valid configuration that only show when the daemon converts it.
func Check(cfg *config.Config) error {
	_, _, err := signalLimits(cfg)
	return err
}

// signalLimits converts the limits of a configuration for the hub. It also returns the verifier of tokens, or nil unless access
// is by token.
func signalLimits(cfg *config.Config) (signal.Limits, *token.Verifier, error) {
	s := cfg.Signal
	limits := signal.Limits{
		Access:            signal.AccessMode(s.Access),
		MaxMessage:        int64(s.Limits.MaxMessage),
		MessagesPerSecond: float64(s.Limits.MessagesPerSecond),
		MessageBurst:      s.Limits.MessageBurst,
		QueueMessages:     s.Limits.QueueMessages,
		QueueBytes:        int(s.Limits.QueueSize),
		ConnsPerAddr:      s.Limits.ConnectionsPerAddress,
		ConnsTotal:        s.Limits.Connections,
		MintsPerAddr:      s.Limits.MintsPerAddress,
		MintsTotal:        s.Limits.Mints,
		ResumeWithin:      s.Limits.Resume,
		ResumeMessages:    s.Limits.ResumeMessages,
		ResumeBytes:       int(s.Limits.ResumeSize),
		WatchedNames:      s.Limits.WatchedNames,
		WaitingTotal:      int(s.Limits.Waiting),
		WaitingPerAddr:    int(s.Limits.WaitingPerAddress),
		Discovery:         s.PeerJS.Discovery,
		Calls: signal.CallLimits{
			Parties: s.Calls.Parties, PerClient: s.Calls.PerClient, OnePerUser: s.Calls.OnePerUser,
			Total: s.Calls.Total, Unjoined: s.Calls.Unjoined, KeptBytes: int(s.Calls.Kept),
			KeptTotal: int(s.Calls.KeptTotal), KeptPerAddr: int(s.Calls.KeptPerAddress),
		},
	}
	limits.Topics = signal.TopicLimits{
		PerClient: s.Topics.PerClient, Subscribers: s.Topics.Subscribers, PerAddr: s.Topics.PerAddress, Total: s.Topics.Total,
	}
	for _, k := range s.Keys {
		limits.Keys = append(limits.Keys, signal.Key{Name: k.Name, Key: k.Key.Reveal()})
	}
	for _, o := range cfg.HTTP.Origins {
		limits.Origins = append(limits.Origins, o.Origin)
	}
	for _, p := range cfg.HTTP.TrustedProxies {
		limits.TrustedProxies = append(limits.TrustedProxies, p.Prefix)
	}
	if s.Access != config.ByToken {
		return limits, nil, nil
	}
	tokens, err := tokenVerifier(s.JWT)
	limits.Tokens = tokens
	return limits, tokens, err
}

func tokenVerifier(c config.JWT) (*token.Verifier, error) {
	o := token.Options{
		JWKS: c.JWKS, Issuer: c.Issuer, Audience: c.Audience, NameClaim: c.NameClaim, CallsClaim: c.CallsClaim,
	}
	for i, k := range c.Keys {
		if k.Public == "" {
			o.Keys = append(o.Keys, token.Key{Key: []byte(k.Secret.Reveal())})
			continue
		}
		keys, err := token.Parse(k.Data)
		if err != nil {
			return nil, fmt.Errorf("signal.jwt.keys[%d].public: %s: %w", i, k.Public, err)
		}
		o.Keys = append(o.Keys, keys...)
	}
	return token.New(o)
}

// iceProvider returns the provider of ICE servers for sign-ins, with credentials of the relay. A credential is valid
// for maxTTL at most.
func iceProvider(c *endpoints.Catalogue, minter *credential.Minter, maxTTL func() time.Duration) signal.ICEProvider {
	return func(_ context.Context, r signal.ICERequest) (signal.ICEServers, error) {
		ttl := maxTTL()
		if r.TTL > 0 {
			ttl = min(r.TTL, ttl)
		}
		stun, turn := c.URIs(r.Host, false)
		if len(turn) == 0 {
			return signal.ICEServers{STUN: stun, TTL: ttl, Expires: time.Now().Add(ttl)}, nil
		}
		m, err := minter.MintFor(r.User, limit.ClientPrefix(r.Addr).String(), ttl, time.Now())
		if err != nil {
			return signal.ICEServers{}, fmt.Errorf("mint a credential: %w", err)
		}
		return signal.ICEServers{
			STUN: stun, TURN: turn, Username: m.Username, Password: m.Password, TTL: ttl, Expires: m.Expires,
		}, nil
	}
}

// watchForProxy wraps the handler of http.listen[i], which listens on loopback. The first request that came through a proxy
// shows that anyone may reach the listener, so it may cause a warning.
func (d *Daemon) watchForProxy(h http.Handler, i int) http.Handler {
	var seen atomic.Bool
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !seen.Load() && gateway.ViaProxy(r) && seen.CompareAndSwap(false, true) {
			d.mu.Lock()
			d.viaProxy[i] = true
			d.mu.Unlock()
			d.updateWarnings()
		}
		h.ServeHTTP(w, r)
	})
}
