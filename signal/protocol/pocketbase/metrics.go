package pocketbase

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// reason says why a request was refused, and is the metric label of it.
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

// endReason says why a call ended, and is a metric label too.
type endReason uint8

const (
	hungUp     endReason = iota
	deserted             // its creator's stream has been gone for too long
	unanswered           // for too long
	tooOld
	replaced // its creator, who was gone, made another one
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
	refused := labelled("refused_total", "Requests of PocketBase clients that were refused, by why.")
	ended := labelled("calls_ended_total", "Calls of PocketBase clients that ended, by why.")
	m := &metrics{
		signIns: counter("sign_ins_total", "Sign-ins of PocketBase clients."),
		created: counter("calls_total", "Calls that PocketBase clients made."),
		calls:   gauge("calls", "Calls of PocketBase clients."),
		bytes:   gauge("bytes", "What the records of PocketBase clients hold."),
		held:    counter("held_total", "Candidates that had to wait for their call's answer."),
		replays: counter("replayed_total", "Events of records that were there before who wanted to hear of them."),
		unheard: counter("unheard_total", "Events that a client didn't get, because too much of the same sender was waiting for it."),
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
