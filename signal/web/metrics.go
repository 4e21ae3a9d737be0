package web

import "github.com/prometheus/client_golang/prometheus"

// outcome is how a request for a page ended. It is also the label of the metric.
type outcome string

const (
	served     outcome = "served" // 304 and ranges included
	redirected outcome = "redirected"
	notFound   outcome = "not_found"
	badMethod  outcome = "bad_method"
)

// newCounter registers icebox_http_pages_total with all its series at 0, and returns the function that counts one request.
func newCounter(reg prometheus.Registerer) func(outcome) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "icebox_http_pages_total",
		Help: "Requests for the embedded pages and their assets, by how they ended.",
	}, []string{"outcome"})
	if reg != nil {
		reg.MustRegister(vec)
	}
	counters := make(map[outcome]prometheus.Counter)
	for _, o := range []outcome{served, redirected, notFound, badMethod} {
		counters[o] = vec.WithLabelValues(string(o))
	}
	return func(o outcome) { counters[o].Inc() }
}
