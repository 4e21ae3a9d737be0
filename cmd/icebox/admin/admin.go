// Package admin is the daemon's private HTTP interface: metrics for Prometheus,
// whether it lives and is ready, and orders to it.
//
//	GET  /metrics   Prometheus text
//	GET  /healthz   200 while the process answers
//	GET  /readyz    200 while it takes new clients, 503 otherwise:
//	                {"ready":true,"warnings":["..."]}, and while it drains
//	                "draining":{"sessions":3,"until":"..."}; if the relay is
//	                stuck, 503 with the reason in "problem"
//	POST /reload    reads the configuration again: 200 {"changed":["..."]}, or
//	                422 {"errors":["..."]} and nothing has changed
//	POST /drain     {"within":"10m"}, or nothing for shutdown.drain: ends the daemon
//	                once its calls have ended, 202 {"sessions":3,"until":"..."}
//
// Reading has no password and belongs on a loopback address. Orders need
// "Authorization: Bearer" with a token, since other users of the host and web
// pages open on it reach the address too. The token is new with each start and
// is kept, with the address, in the state directory (see [Access]): whoever may
// read the secrets there may give orders.
package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Status is what /readyz tells.
type Status struct {
	Ready    bool      `json:"ready"`
	Draining *Draining `json:"draining,omitempty"`
	Problem  string    `json:"problem,omitempty"` // why the daemon cannot serve clients although it runs or drains; Ready is false then
	Warnings []string  `json:"warnings"`          // what an operator should mend
}

// Draining is how far a stopping daemon is.
type Draining struct {
	Sessions int       `json:"sessions"`
	Until    time.Time `json:"until"` // when those left are cut off
}

// Reloaded is what a reload did.
type Reloaded struct {
	Changed []string `json:"changed"` // keys
}

// Refused are all the reasons why a reload changed nothing.
type Refused []string

func (r Refused) Error() string { return strings.Join(r, "\n") }

// ErrStopping is returned for orders that come too late.
var ErrStopping = errors.New("icebox is stopping")

// Options are what the interface shows and does. The functions may be called
// from any goroutine.
type Options struct {
	Gatherer prometheus.Gatherer
	Status   func() Status
	Token    string // of who may give orders; "": nobody may
	Reload   func(context.Context) (Reloaded, error)
	Drain    func(ctx context.Context, within time.Duration) (Draining, error) // 0: the configured time
}

// Handler serves the interface.
func Handler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		s, code := o.Status(), http.StatusOK
		if s.Warnings == nil {
			s.Warnings = []string{}
		}
		if !s.Ready {
			code = http.StatusServiceUnavailable
		}
		reply(w, code, s)
	})
	mux.Handle("POST /reload", o.ordered(o.reload))
	mux.Handle("POST /drain", o.ordered(o.drain))
	return mux
}

// ordered lets only those in who know the token.
func (o Options) ordered(h http.HandlerFunc) http.Handler {
	want := sha256.Sum256([]byte(o.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got := sha256.Sum256([]byte(given))
		if o.Token == "" || subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			fail(w, http.StatusUnauthorized, "orders need the token that is in the state directory")
			return
		}
		h(w, r)
	})
}

func (o Options) reload(w http.ResponseWriter, r *http.Request) {
	done, err := o.Reload(r.Context())
	var refused Refused
	switch {
	case err == nil:
		if done.Changed == nil {
			done.Changed = []string{}
		}
		reply(w, http.StatusOK, done)
	case errors.As(err, &refused):
		fail(w, http.StatusUnprocessableEntity, refused...)
	default:
		fail(w, http.StatusServiceUnavailable, err.Error())
	}
}

func (o Options) drain(w http.ResponseWriter, r *http.Request) {
	var order struct{ Within string }
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&order)
	if err != nil && !errors.Is(err, io.EOF) {
		fail(w, http.StatusBadRequest, "want {\"within\":\"10m\"}")
		return
	}
	var within time.Duration
	if order.Within != "" {
		if within, err = time.ParseDuration(order.Within); err != nil || within <= 0 {
			fail(w, http.StatusBadRequest, "within: want a duration such as 10m")
			return
		}
	}
	begun, err := o.Drain(r.Context(), within)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	reply(w, http.StatusAccepted, begun)
}

// failure is the body of every refusal.
type failure struct {
	Errors []string `json:"errors"`
}

func fail(w http.ResponseWriter, code int, errors ...string) { reply(w, code, failure{errors}) }

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // who asked may be gone
}
