package native

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// outcome is the result of an attempt to resume a session, and its metric label.
type outcome uint8

const (
	resumed  outcome = iota
	unknown          // no session has this secret, or it has ended
	overflow         // the client missed more messages than the session keeps
	outcomes
)

func (o outcome) String() string {
	return [...]string{"resumed", "unknown", "overflow", "other"}[min(o, outcomes)]
}

type metrics struct {
	resumes  [outcomes]prometheus.Counter
	detached prometheus.Gauge
	streams  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	resumes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "icebox_signal_resumes_total", Help: "Attempts to resume a session on a new connection, by outcome."}, []string{"outcome"})
	m := &metrics{
		detached: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "icebox_signal_sessions_detached", Help: "Sessions without a connection, which wait for the client to resume."}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "icebox_signal_event_streams", Help: "Open streams of server-sent events."}),
	}
	for o := range outcomes {
		m.resumes[o] = resumes.WithLabelValues(o.String())
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{resumes, m.detached, m.streams} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
