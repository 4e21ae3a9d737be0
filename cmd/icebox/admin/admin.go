// Package admin is the daemon's private HTTP interface: metrics for Prometheus,
// and whether it lives and is ready.
//
//	GET /metrics   Prometheus text
//	GET /healthz   200 while the process answers
//	GET /readyz    200 while it takes new clients, 503 otherwise:
//	               {"ready":true,"warnings":["..."]}
//
// It has no password and belongs on a loopback address.
package admin

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Status is what /readyz tells.
type Status struct {
	Ready    bool     `json:"ready"`
	Warnings []string `json:"warnings"` // what an operator should mend
}

// Handler serves what gatherer and status have at the time. Both may be called
// from any goroutine.
func Handler(gatherer prometheus.Gatherer, status func() Status) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		s := status()
		if s.Warnings == nil {
			s.Warnings = []string{}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !s.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(s)
	})
	return mux
}
