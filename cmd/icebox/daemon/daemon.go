package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"icebox/cmd/icebox/admin"
	"icebox/cmd/icebox/endpoints"
	"icebox/cmd/icebox/preaccept"
	"icebox/cmd/icebox/relayaddr"
	"icebox/cmd/icebox/sockets"
	"icebox/cmd/icebox/statedir"
	"icebox/config"
	"icebox/signal"
	"icebox/signal/gateway"
	"icebox/signal/token"
	"icebox/turnserver"
)

// Options are fixed while the daemon runs. All but the last three are required.
type Options struct {
	Config *config.Config
	Load   func() (*config.Config, error) // reads the configuration again, for a reload
	Log    *slog.Logger
	Level  *slog.LevelVar // the level of Log, which a reload sets

	Version          string                 // a line for the banner and the metric icebox_build_info
	Collectors       []prometheus.Collector // further metrics
	NotifySocket     string                 // of the service manager, see sd_notify(3); "" if there is none
	WatchdogInterval time.Duration          // the service manager expects two pings in it; 0: it expects none
}

func (o Options) validate() error {
	if o.Config == nil || o.Load == nil || o.Log == nil || o.Level == nil {
		return errors.New("daemon: Config, Load, Log and Level are required")
	}
	return nil
}

// Daemon is a running daemon.
type Daemon struct {
	options  Options
	log      *slog.Logger
	registry *prometheus.Registry
	host     endpoints.Host
	state    *statedir.Dir
	secret   []byte // what our own credentials are signed with
	certificate

	opened    []sockets.Group // in the order of specs
	catalogue *endpoints.Catalogue

	turn       *turnserver.Server
	checkRelay func(context.Context) error // of turn
	relaysFrom relayaddr.Choice
	hub        *signal.Hub
	gate       *gateway.Gateway
	tokens     *token.Verifier                   // nil: access is not by token
	protocols  map[config.ProtocolName]*protocol // that listeners turn on
	handlers   []http.Handler                    // in the order of http.listen
	web        []*webServer                      // likewise
	admin      *webServer
	intakes    []*preaccept.Listener // between sockets and servers

	running atomic.Pointer[config.Config] // what is in force
	reloads *reloadMetrics
	ready   atomic.Bool
	failed  chan error // a listener ended that should not have
	orders  chan order
	deaf    chan struct{} // closed when no more orders are taken

	work sync.WaitGroup // watchers
	quit func()         // ends them

	mu       sync.Mutex
	warnings []string  // what an operator should mend
	skipped  []string  // those that stay until a restart
	proxied  []bool    // which of http.listen a proxy was seen on
	refused  error     // why the last reload was refused
	until    time.Time // when draining ends; zero before it begins
}

// Start starts a daemon, or returns an error and leaves nothing running.
func Start(o Options) (*Daemon, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	d := &Daemon{
		options: o, log: o.Log, registry: prometheus.NewRegistry(),
		failed: make(chan error, 1), orders: make(chan order), deaf: make(chan struct{}),
		proxied: make([]bool, len(o.Config.HTTP.Listen)), protocols: make(map[config.ProtocolName]*protocol),
	}
	d.running.Store(o.Config)
	d.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(o.Version))
	d.registry.MustRegister(o.Collectors...)
	d.reloads = newReloadMetrics(d.registry)
	for _, step := range []func() error{d.prepare, d.open, d.startAdmin, d.startTURN, d.startSignalling, d.startWeb} {
		if err := step(); err != nil {
			d.close()
			return nil, err
		}
	}
	d.begin()
	d.review()
	d.ready.Store(true)
	return d, nil
}

// cfg is the configuration in force. Settings that a reload can't change are
// the same in all of them.
func (d *Daemon) cfg() *config.Config { return d.running.Load() }

// begin starts what runs beside the servers.
func (d *Daemon) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	d.quit = cancel
	d.work.Go(func() { d.certificate.watch(ctx) })
	if d.tokens != nil {
		d.work.Go(func() { d.fetchKeys(ctx) })
	}
}

func buildInfo(version string) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "icebox_build_info", Help: "1, labelled with the version.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	g.Set(1)
	return g
}

// prepare does what can fail without a socket.
func (d *Daemon) prepare() error {
	var err error
	if d.host, err = endpoints.ThisHost(d.cfg()); err != nil {
		return err
	}
	if d.state, err = statedir.Open(d.cfg().StateDir, d.log); err != nil {
		return err
	}
	if d.secret, err = d.state.Secret(statedir.MintingSecret); err != nil {
		return err
	}
	return d.openCertificate()
}

func (d *Daemon) startAdmin() error {
	secret := admin.NewToken()
	handler := admin.Handler(admin.Options{
		Gatherer: d.registry, Status: d.status, Token: secret, Reload: d.orderReload, Drain: d.orderDrain,
	})
	group := d.adminGroup()
	if err := admin.Publish(d.state, group.TCP.Addr().(*net.TCPAddr).AddrPort(), secret); err != nil {
		return err
	}
	d.admin = serveWeb(group.TCP, handler, nil, d.log, d.fail)
	return nil
}

// status returns the state of the daemon, and wakes the relay to see whether it makes progress.
func (d *Daemon) status() admin.Status {
	s := d.storedStatus()
	if !s.Ready && s.Draining == nil { // it starts, so there may be no relay yet
		return s
	}
	if err := d.relayProblem(context.Background()); err != nil {
		s.Ready, s.Problem = false, err.Error()
	}
	return s
}

// storedStatus is status without the question to the relay.
func (d *Daemon) storedStatus() admin.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := admin.Status{Ready: d.ready.Load(), Warnings: append(slices.Clone(d.warnings), d.problems(time.Now())...)}
	if !d.until.IsZero() {
		s.Draining = &admin.Draining{Sessions: len(d.turn.Sessions()), Until: d.until}
	}
	return s
}

// fail stops the daemon.
func (d *Daemon) fail(err error) {
	select {
	case d.failed <- err:
	default: // one reason is enough
	}
}
