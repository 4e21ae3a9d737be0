package pocketbase

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// reason says why the Handler refused a request. Its string is a metric label.
type reason uint8

const (
	badRequest reason = iota
	tooLarge
	badMethod
	notFound
	noToken
	wrongPassword
	tooManyAttempts
	checksBusy
	accessDenied
	tooFast
	notAllowed
	tooManyCalls
	callFull
	storeFull
	noStream
	otherUser
	tooManyStreams
	restarting
	numReasons
)

func (r reason) String() string {
	return [...]string{
		"bad_request", "too_large", "method", "not_found", "no_token", "password", "guesses", "checks_busy", "access", "rate",
		"not_allowed", "calls", "call_full", "store_full", "no_stream", "other_user", "connections", "restarting", "unknown",
	}[min(r, numReasons)]
}

// endReason says why a call ended. Its string is a metric label.
type endReason uint8

const (
	hungUp     endReason = iota
	deserted             // its creator had no stream for absenceLimit
	unanswered           // nobody answered it within CallLimits.Unjoined
	tooOld               // it reached maxAge
	replaced             // a new call of the same user took its place, because its creator had no stream
	numEndReasons
)

func (e endReason) String() string {
	return [...]string{"hangup", "deserted", "unanswered", "old", "replaced", "unknown"}[min(e, numEndReasons)]
}

type metrics struct {
	refused [numReasons]prometheus.Counter
	ended   [numEndReasons]prometheus.Counter
	signIns prometheus.Counter
	created prometheus.Counter
	calls   prometheus.Gauge
	bytes   prometheus.Gauge
	held    prometheus.Counter
	replays prometheus.Counter
	unheard prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	const prefix = "icebox_pocketbase_"
	labelled := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, []string{"reason"})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + name, Help: help})
	}
	refused := labelled("refused_total", "Requests of PocketBase clients that were refused, by reason.")
	ended := labelled("calls_ended_total", "Calls of PocketBase clients that ended, by reason.")
	m := &metrics{
		signIns: counter("sign_ins_total", "Sign-ins of PocketBase clients."),
		created: counter("calls_total", "Calls that PocketBase clients created."),
		calls:   gauge("calls", "Calls of PocketBase clients that have not ended."),
		bytes:   gauge("bytes", "Size of all records of PocketBase clients in bytes, overhead included."),
		held:    counter("held_total", "Candidates that were held back until their call was answered."),
		replays: counter("replayed_total", "Calls whose existing records were sent to a new subscription."),
		unheard: counter("unheard_total", "Batches of events that a client did not get, because too much from the same sender was already queued for it."),
	}
	for r := range numReasons {
		m.refused[r] = refused.WithLabelValues(r.String())
	}
	for e := range numEndReasons {
		m.ended[e] = ended.WithLabelValues(e.String())
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{refused, ended, m.signIns, m.created, m.calls, m.bytes, m.held, m.replays, m.unheard} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
