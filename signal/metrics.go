package signal

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/signal/broker"
	"icebox/signal/budget"
)

// metrics are the hub's. No label contains data of a user.
type metrics struct {
	clients     prometheus.Gauge
	signedIn    prometheus.Gauge
	connections *prometheus.CounterVec
	ended       [reasons]prometheus.Counter
	routed      [broker.Kinds]prometheus.Counter
	ignored     [broker.Kinds]prometheus.Counter
	refused     map[string]prometheus.Counter // by code
	takeovers   prometheus.Counter
	signIns     prometheus.Counter
}

func counters(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
}

func newMetrics(reg prometheus.Registerer, reserved *budget.Budget) (*metrics, error) {
	var (
		ended  = counters("icebox_signal_clients_ended_total", "Clients that ended, by reason.", "reason")
		routed = counters("icebox_signal_messages_total",
			"Messages from client to client that were handed to the recipient's node, by kind.", "kind")
		ignored = counters("icebox_signal_messages_ignored_total",
			"Messages that a recipient's hub dropped because they belong to none of its pairs, by kind.", "kind")
		refused = counters("icebox_signal_refused_total",
			"Refused messages and requests of clients, by the code of the error that the client got.", "code")
	)
	m := &metrics{
		clients: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "icebox_signal_clients", Help: "Connected clients."}),
		signedIn: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "icebox_signal_signed_in", Help: "Connected clients that hold a name."}),
		connections: counters("icebox_signal_connections_total", "Clients that connected, by protocol.", "protocol"),
		refused:     make(map[string]prometheus.Counter),
		takeovers: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "icebox_signal_takeovers_total", Help: "Names taken over from a client that did not answer a ping."}),
		signIns: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "icebox_signal_sign_ins_total", Help: "Names given to a client."}),
	}
	reservedBytes := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "icebox_signal_waiting_bytes",
		Help: "Bytes that wait for clients that read slowly or have lost their connection, without the first 16 KiB of each.",
	},
		func() float64 { return float64(reserved.Total()) })
	for r := range reasons {
		m.ended[r] = ended.WithLabelValues(r.String())
	}
	for k := range broker.Kinds {
		m.routed[k] = routed.WithLabelValues(k.String())
		m.ignored[k] = ignored.WithLabelValues(k.String())
	}
	for _, e := range refusals {
		m.refused[e.Code] = refused.WithLabelValues(e.Code)
	}
	return m, register(reg, m.clients, m.signedIn, m.connections, ended, routed, ignored, refused,
		m.takeovers, m.signIns, reservedBytes)
}

func register(reg prometheus.Registerer, all ...prometheus.Collector) error {
	if reg == nil {
		return nil
	}
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

func (m *metrics) connected(protocol string) {
	m.clients.Inc()
	m.connections.WithLabelValues(protocol).Inc()
}

// countRefusal counts a refusal and returns it as an error.
func (m *metrics) countRefusal(e *Error) error {
	if c, ok := m.refused[e.Code]; ok {
		c.Inc()
	}
	return e
}
