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

// Options are fixed while the daemon runs. Config, Load, Log and Level are required.
type Options struct {
	Config *config.Config
	Load   func() (*config.Config, error) // reads the configuration again, for a reload
	Log    *slog.Logger
	Level  *slog.LevelVar // the level of Log, which a reload sets

	Version          string                 // a line for the banner and the metric icebox_build_info
	Collectors       []prometheus.Collector // metrics of the caller
	NotifySocket     string                 // the socket of the service manager, see sd_notify(3); "" if there is none
	WatchdogInterval time.Duration          // the interval in which the service manager expects a ping; 0 if it expects none
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
	secret   []byte // signs the credentials that this daemon mints
	certificate

	opened    []sockets.Group // of turn.listen, http.listen and admin.address, in this order
	catalogue *endpoints.Catalogue

	turn         *turnserver.Server
	checkRelay   func(context.Context) error // returns nil once the relay makes progress
	relayChoice  relayaddr.Choice
	hub          *signal.Hub
	gate         *gateway.Gateway
	tokens       *token.Verifier                   // nil unless signal.access is jwt
	protocols    map[config.ProtocolName]*protocol // that at least one listener turns on
	handlers     []http.Handler                    // in the order of http.listen
	web          []*webServer                      // in the order of http.listen
	admin        *webServer
	preaccepting []*preaccept.Listener // between the sockets and the servers

	running atomic.Pointer[config.Config] // the configuration in force
	reloads *reloadMetrics
	ready   atomic.Bool
	failed  chan error // receives the error of a server that ended on its own

	requests       chan controlRequest
	requestsClosed chan struct{} // closed when requests are not handled any more

	workers     sync.WaitGroup // of the certificate and the token keys
	stopWorkers func()

	mu            sync.Mutex
	warnings      []string  // settings and conditions that an operator should fix
	skippedAddrs  []string  // warnings about addresses that are not served until a restart
	viaProxy      []bool    // by index of http.listen: a proxy has forwarded a request to it
	reloadErr     error     // why the last reload was refused; nil if it was not
	drainDeadline time.Time // zero until draining begins
}

// Start starts a daemon, or returns an error and leaves nothing running.
func Start(o Options) (*Daemon, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	d := &Daemon{
		options: o, log: o.Log, registry: prometheus.NewRegistry(),
		failed: make(chan error, 1), requests: make(chan controlRequest), requestsClosed: make(chan struct{}),
		viaProxy: make([]bool, len(o.Config.HTTP.Listen)), protocols: make(map[config.ProtocolName]*protocol),
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
	d.startWorkers()
	d.updateWarnings()
	d.ready.Store(true)
	return d, nil
}

// cfg returns the configuration in force. A reload replaces it, but settings that a reload cannot change stay the same.
func (d *Daemon) cfg() *config.Config { return d.running.Load() }

// startWorkers starts the goroutines that run beside the servers.
func (d *Daemon) startWorkers() {
	ctx, cancel := context.WithCancel(context.Background())
	d.stopWorkers = cancel
	d.workers.Go(func() { d.certificate.watch(ctx) })
	if d.tokens != nil {
		d.workers.Go(func() { d.fetchKeys(ctx) })
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

// prepare does everything that can fail before a socket is open.
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
		Gatherer: d.registry, Status: d.status, Token: secret, Reload: d.requestReload, Drain: d.requestDrain,
	})
	group := d.adminGroup()
	if err := admin.Publish(d.state, group.TCP.Addr().(*net.TCPAddr).AddrPort(), secret); err != nil {
		return err
	}
	d.admin = serveWeb(group.TCP, handler, nil, d.log, d.stopWithError)
	return nil
}

// status returns the state of the daemon, and wakes the relay to see whether it makes progress.
func (d *Daemon) status() admin.Status {
	s := d.storedStatus()
	if !s.Ready && s.Draining == nil { // the daemon is still starting, so there may be no relay yet
		return s
	}
	if err := d.relayProblem(context.Background()); err != nil {
		s.Ready, s.Problem = false, err.Error()
	}
	return s
}

// storedStatus returns the state of the daemon as far as it is known without waking the relay.
func (d *Daemon) storedStatus() admin.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := admin.Status{Ready: d.ready.Load(), Warnings: append(slices.Clone(d.warnings), d.certificateWarnings(time.Now())...)}
	if !d.drainDeadline.IsZero() {
		s.Draining = &admin.Draining{Sessions: len(d.turn.Sessions()), Until: d.drainDeadline}
	}
	return s
}

// stopWithError shuts the daemon down because of err. It may be called from any goroutine.
func (d *Daemon) stopWithError(err error) {
	select {
	case d.failed <- err:
	default: // the daemon stops because of an earlier error
	}
}
