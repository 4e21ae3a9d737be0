package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"icebox/cmd/icebox/admin"
	"icebox/cmd/icebox/certs"
	"icebox/cmd/icebox/sockets"
	"icebox/cmd/icebox/statedir"
	"icebox/config"
	"icebox/signal"
	"icebox/turnserver"
)

const (
	// farewell is how long signalling clients have to read that they should
	// reconnect, before the relay drains.
	farewell = 2 * time.Second
	// closing is how long requests have to end after the relay has drained.
	closing = 3 * time.Second
)

// daemon is all that serve runs.
type daemon struct {
	cfg      *config.Config
	log      *slog.Logger
	registry *prometheus.Registry
	network  network
	secret   []byte       // what our own credentials are signed with
	source   certs.Source // nil without tls

	opened    []sockets.Group // in the order of specs
	catalogue *catalogue

	turn     *turnserver.Server
	hub      *signal.Hub
	handlers []http.Handler // in the order of http.listen
	web      []*webServer   // likewise
	admin    *webServer

	ready  atomic.Bool
	failed chan error // a listener ended that should not have

	mu       sync.Mutex
	warnings []string
}

// start brings everything up or leaves nothing behind.
func start(cfg *config.Config, log *slog.Logger) (*daemon, error) {
	d := &daemon{cfg: cfg, log: log, registry: prometheus.NewRegistry(), failed: make(chan error, 1)}
	d.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo())
	for _, step := range []func() error{d.prepare, d.open, d.startAdmin, d.startTURN, d.startSignalling, d.startWeb} {
		if err := step(); err != nil {
			d.close()
			return nil, err
		}
	}
	for _, w := range d.findings() {
		d.warn(w)
	}
	d.ready.Store(true)
	return d, nil
}

func buildInfo() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "icebox_build_info", Help: "1, labelled with the version.",
		ConstLabels: prometheus.Labels{"version": versionLine()},
	})
	g.Set(1)
	return g
}

// prepare does what can fail without a socket.
func (d *daemon) prepare() error {
	var err error
	if d.network, err = newNetwork(d.cfg); err != nil {
		return err
	}
	dir, err := statedir.Open(d.cfg.StateDir, d.log)
	if err != nil {
		return err
	}
	if d.secret, err = dir.Secret(mintingSecret); err != nil {
		return err
	}
	switch t := d.cfg.TLS; {
	case t.SelfSigned:
		d.source, err = certs.SelfSigned(dir, d.network.names(d.cfg.PublicHost), nil)
	case t.Enabled():
		d.source, err = certs.FromFiles(t.Certificate, t.Key)
	}
	return err
}

// open opens all sockets; the groups are those of turn.listen, http.listen and
// admin, in this order.
func (d *daemon) open() error {
	var specs []sockets.Spec
	for i, l := range d.cfg.TURN.Listen {
		udp, tcp := false, false
		for _, t := range l.Transports {
			udp, tcp = udp || !t.Stream(), tcp || t.Stream()
		}
		specs = append(specs, spec(fmt.Sprintf("turn.listen[%d]", i), l.Address, udp, tcp))
	}
	for i, l := range d.cfg.HTTP.Listen {
		specs = append(specs, spec(fmt.Sprintf("http.listen[%d]", i), l.Address, l.STUN, true))
	}
	specs = append(specs, spec("admin.address", d.cfg.Admin.Address, false, true))

	var err error
	if d.opened, err = sockets.Open(specs, d.network.local); err != nil {
		return err
	}
	d.catalogue = d.network.catalogue(d.cfg)
	d.catalogue.services, d.catalogue.stunOnly = nil, nil
	for i, l := range d.cfg.TURN.Listen {
		d.catalogue.add(l, d.turnGroup(i).Port)
	}
	for i, l := range d.cfg.HTTP.Listen {
		if l.STUN {
			d.catalogue.stunOnly = append(d.catalogue.stunOnly, service{config.UDP, l.Address.Addr, d.webGroup(i).Port})
		}
	}
	for _, g := range d.opened {
		for _, a := range g.Skipped {
			d.warn(fmt.Sprintf("%s: %s cannot be bound yet and is not served until a restart", g.Key, a))
		}
	}
	return nil
}

func spec(key string, e config.Endpoint, udp, tcp bool) sockets.Spec {
	return sockets.Spec{Key: key, Addr: e.Addr, Port: e.Port, UDP: udp, TCP: tcp}
}

func (d *daemon) turnGroup(i int) *sockets.Group { return &d.opened[i] }

func (d *daemon) webGroup(i int) *sockets.Group { return &d.opened[len(d.cfg.TURN.Listen)+i] }

func (d *daemon) adminGroup() *sockets.Group { return &d.opened[len(d.opened)-1] }

func (d *daemon) startAdmin() error {
	handler := admin.Handler(d.registry, func() admin.Status {
		d.mu.Lock()
		defer d.mu.Unlock()
		return admin.Status{Ready: d.ready.Load(), Warnings: slices.Clone(d.warnings)}
	})
	d.admin = serveWeb(d.adminGroup().TCP, handler, nil, d.log, d.fail)
	return nil
}

func (d *daemon) startWeb() error {
	for i, l := range d.cfg.HTTP.Listen {
		var source certs.Source
		if l.TLS {
			source = d.source
		}
		d.web = append(d.web, serveWeb(d.webGroup(i).TCP, d.handlers[i], source, d.log, d.fail))
	}
	return nil
}

// fail stops the daemon.
func (d *daemon) fail(err error) {
	select {
	case d.failed <- err:
	default: // one reason is enough
	}
}

// warn tells the operator, in the log and at /readyz, what to mend.
func (d *daemon) warn(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.warnings, text) {
		d.warnings = append(d.warnings, text)
		d.log.Warn(text)
	}
}

// shutdown ends everything in order: no longer ready; no new sign-ins, and
// clients are told to reconnect; no new allocations, and running calls have
// until shutdown.drain; then everything else. It takes no context, because the
// one that ended the daemon is cancelled already.
func (d *daemon) shutdown() error {
	d.ready.Store(false)
	var problems []error
	problems = append(problems, within(farewell, d.hub.Shutdown))

	sessions := len(d.turn.Sessions())
	d.log.Info("draining the relay", "sessions", sessions, "deadline", d.cfg.Shutdown.Drain)
	problems = append(problems, within(d.cfg.Shutdown.Drain, d.turn.Drain))
	if cut := len(d.turn.Sessions()); cut > 0 {
		d.log.Warn("ended calls that were still running", "sessions", cut)
	}
	problems = append(problems, d.turn.Close())
	for _, w := range append(d.web, d.admin) {
		problems = append(problems, within(closing, w.shutdown))
	}
	return errors.Join(problems...)
}

// within gives do so much time. That it took all of it is no error: what is
// left then is cut off.
func within(limit time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := do(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// close ends what start has begun. Closing a socket twice does no harm.
func (d *daemon) close() {
	if d.hub != nil {
		_ = within(0, d.hub.Shutdown)
	}
	if d.turn != nil {
		_ = d.turn.Close()
	}
	for _, w := range append(d.web, d.admin) {
		if w != nil {
			_ = within(0, w.shutdown)
		}
	}
	sockets.Close(d.opened)
}
