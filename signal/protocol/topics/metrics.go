package topics

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct{ published, delivered, dropped prometheus.Counter }

func newMetrics(reg prometheus.Registerer, protocol string, m *memory) (*metrics, error) {
	label := prometheus.Labels{"protocol": protocol}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: label})
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		o := prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: label}
		return prometheus.NewGaugeFunc(o, value)
	}
	counters := &metrics{
		published: counter("icebox_topic_published_total", "Publications that clients sent."),
		delivered: counter("icebox_topic_delivered_total", "Publications that were queued for a subscriber."),
		dropped:   counter("icebox_topic_dropped_total", "Publications that a subscriber did not get, because too much from the same sender was already queued for it."),
	}
	if reg == nil {
		return counters, nil
	}
	for _, c := range []prometheus.Collector{
		counters.published, counters.delivered, counters.dropped,
		gauge("icebox_topics", "Topics that have a subscriber.", func() float64 { return float64(m.topics.Load()) }),
		gauge("icebox_topic_subscriptions", "Subscriptions to topics.", func() float64 { return float64(m.total()) }),
	} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return counters, nil
}
