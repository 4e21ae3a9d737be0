package gateway

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// reason says why the gateway refused a request. Its string is a metric label.
type reason uint8

const (
	badOrigin reason = iota
	noKey
	badKey
	connsPerAddr
	connsTotal
	mintsPerAddr
	mintsTotal
	restarting
	badRequest
	badMethod
	noICE
	noToken
	badToken
	reasons
)

func (r reason) String() string {
	return [...]string{
		"origin", "no_key", "bad_key", "connections_per_address", "connections_total", "mints_per_address",
		"mints_total", "restarting", "bad_request", "method", "ice_unavailable", "no_token", "bad_token",
		"unknown",
	}[min(r, reasons)]
}

// route is the part of the server that handles a request. It is a metric label.
type route uint8

const (
	toICE route = iota
	toPages
	routes
)

func (r route) String() string {
	return [...]string{"ice", "pages", "unknown"}[min(r, routes)]
}

// via is the purpose for which a credential was minted. It is a metric label.
type via uint8

const (
	viaSignIn via = iota
	viaCall
	viaHTTP
	vias
)

func (v via) String() string { return [...]string{"sign_in", "call", "http", "unknown"}[min(v, vias)] }

type metrics struct {
	requests [routes]prometheus.Counter
	routes   *prometheus.CounterVec // the vector behind requests; mounts add labels of their own
	refused  [reasons]prometheus.Counter
	minted   [vias]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, conns *connections) (*metrics, error) {
	counters := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	var (
		requests = counters("icebox_http_requests_total", "HTTP requests, by the part of the server that handled them.", "route")
		refused  = counters("icebox_http_refused_total", "HTTP requests and mints that were refused, by reason.", "reason")
		minted   = counters("icebox_signal_credentials_total", "Credentials minted, by purpose.", "via")
		open     = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "icebox_http_websockets", Help: "WebSockets that count against the limits on connections.",
		}, func() float64 {
			conns.mu.Lock()
			defer conns.mu.Unlock()
			return float64(conns.total)
		})
		m = metrics{routes: requests}
	)
	for r := range routes {
		m.requests[r] = requests.WithLabelValues(r.String())
	}
	for r := range reasons {
		m.refused[r] = refused.WithLabelValues(r.String())
	}
	for v := range vias {
		m.minted[v] = minted.WithLabelValues(v.String())
	}
	if reg == nil {
		return &m, nil
	}
	for _, c := range []prometheus.Collector{requests, refused, minted, open} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return &m, nil
}
