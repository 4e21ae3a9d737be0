package call

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/signal/budget"
)

type metrics struct {
	open  prometheus.Gauge
	total prometheus.Counter
	ends  map[EventKind]prometheus.Counter
}

// reasons are the labels of ends.
var reasons = map[EventKind]string{Hangup: "hangup", Unjoined: "unjoined", Empty: "empty"}

// Reason returns why a call ended, or how a party left it, in the words of protocols and metrics.
func (k EventKind) Reason() string {
	switch k {
	case Left:
		return "left"
	case Gone:
		return "gone"
	default:
		return reasons[k]
	}
}

func newMetrics(reg prometheus.Registerer, b *budget.Budget) (*metrics, error) {
	ends := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "icebox_signal_calls_ended_total", Help: "Calls by ID that ended, by why."}, []string{"reason"})
	m := &metrics{
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "icebox_signal_calls", Help: "Calls by ID."}),
		total: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "icebox_signal_calls_total", Help: "Calls by ID that were made."}),
		ends: make(map[EventKind]prometheus.Counter),
	}
	kept := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "icebox_signal_calls_kept_bytes", Help: "What calls keep for who joins."}, func() float64 { return float64(b.Total()) })
	for k, label := range reasons {
		m.ends[k] = ends.WithLabelValues(label)
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.open, m.total, kept, ends} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) callStarted() {
	m.open.Inc()
	m.total.Inc()
}

func (m *metrics) callEnded(k EventKind) {
	m.open.Dec()
	m.ends[k].Inc()
}
