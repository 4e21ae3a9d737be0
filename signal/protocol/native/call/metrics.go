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

// reasons are the metric labels of the ways in which a call can end.
var reasons = map[EventKind]string{Hangup: "hangup", Unjoined: "unjoined", Empty: "empty"}

// Reason returns the name that protocols and metrics give to a way in which a call ends or a party leaves it. It is empty
// for all other kinds.
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
		Name: "icebox_signal_calls_ended_total", Help: "Calls by ID that have ended, by reason."}, []string{"reason"})
	m := &metrics{
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "icebox_signal_calls", Help: "Calls by ID that exist now."}),
		total: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "icebox_signal_calls_total", Help: "Calls by ID that were created or restored."}),
		ends: make(map[EventKind]prometheus.Counter),
	}
	kept := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "icebox_signal_calls_kept_bytes", Help: "Bytes of messages that calls keep for the next client that joins."}, func() float64 { return float64(b.Total()) })
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
