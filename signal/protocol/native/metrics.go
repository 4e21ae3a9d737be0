package native

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// outcome is what became of an attempt to resume, and a metric label.
type outcome uint8

const (
	resumed  outcome = iota
	unknown          // there is no such session, any more
	overflow         // more was missed than is kept
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
			Name: "icebox_signal_sessions_detached", Help: "Sessions that wait for a new connection."}),
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
