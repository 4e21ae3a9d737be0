package peerjs

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count messages for recipients that were not connected, by their outcome.
type metrics struct{ delivered, expired, refused prometheus.Counter }

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "icebox_peerjs_kept_total", Help: "Messages for PeerJS clients that were not connected, by outcome.",
	}, []string{"outcome"})
	m := &metrics{v.WithLabelValues("delivered"), v.WithLabelValues("expired"), v.WithLabelValues("refused")}
	if reg == nil {
		return m, nil
	}
	if err := reg.Register(v); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return m, nil
}
