// Package admin is the daemon's private HTTP API: metrics, health, reload and drain.
//
//	GET  /metrics   the metrics in Prometheus text format
//	GET  /healthz   200 while the process responds
//	GET  /readyz    200 while the daemon takes new clients, otherwise 503:
//	                {"ready":true,"warnings":["..."]}, and while it drains
//	                "draining":{"sessions":3,"until":"..."}. If the relay is
//	                stuck, 503 with the reason in "problem"
//	POST /reload    reads the configuration again. 200 {"changed":["..."]}, or
//	                422 {"errors":["..."]} if nothing has changed
//	POST /drain     ends the daemon once its calls have ended. The body is
//	                {"within":"10m"}, or empty for shutdown.drain.
//	                202 {"sessions":3,"until":"..."}
//
// GET requests need no password, so the API belongs on a loopback address. POST requests need "Authorization: Bearer" with a token,
// because other users of the host, and web pages open on it, can reach the address too. The daemon makes a new token at each
// start and stores it with the address in the state directory, see [Access]. So every user who may read the secrets there may also
// reload and drain.
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

// Status is the response of /readyz.
type Status struct {
	Ready    bool      `json:"ready"`
	Draining *Draining `json:"draining,omitempty"`
	Problem  string    `json:"problem,omitempty"` // why the daemon cannot serve clients although it runs or drains; Ready is false then
	Warnings []string  `json:"warnings"`          // conditions that an operator should change
}

// Draining is the progress of a drain.
type Draining struct {
	Sessions int       `json:"sessions"`
	Until    time.Time `json:"until"` // when the remaining sessions are cut off
}

// Reloaded is the result of a reload.
type Reloaded struct {
	Changed []string `json:"changed"` // keys of settings
}

// Refused is the error of a reload that the daemon refused. It lists every reason. The reload has changed nothing.
type Refused []string

func (r Refused) Error() string { return strings.Join(r, "\n") }

// ErrStopping is the error of Reload and Drain if the daemon is already shutting down.
var ErrStopping = errors.New("icebox is stopping")

// Options connect the API to the daemon. The funcs must be safe for concurrent use.
type Options struct {
	Gatherer prometheus.Gatherer
	Status   func() Status
	Token    string // for POST requests; "": all of them are refused
	Reload   func(context.Context) (Reloaded, error)
	Drain    func(ctx context.Context, within time.Duration) (Draining, error) // within 0 means the configured time
}

// Handler returns the API.
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
	mux.Handle("POST /reload", o.withToken(o.reload))
	mux.Handle("POST /drain", o.withToken(o.drain))
	return mux
}

// withToken wraps h so that it serves only requests with the token.
func (o Options) withToken(h http.HandlerFunc) http.Handler {
	want := sha256.Sum256([]byte(o.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got := sha256.Sum256([]byte(given))
		if o.Token == "" || subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			fail(w, http.StatusUnauthorized, "this request needs the token from the state directory")
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
	var body struct{ Within string }
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&body)
	if err != nil && !errors.Is(err, io.EOF) {
		fail(w, http.StatusBadRequest, "want {\"within\":\"10m\"}")
		return
	}
	var within time.Duration
	if body.Within != "" {
		if within, err = time.ParseDuration(body.Within); err != nil || within <= 0 {
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

// failure is the body of every error response.
type failure struct {
	Errors []string `json:"errors"`
}

func fail(w http.ResponseWriter, code int, errors ...string) { reply(w, code, failure{errors}) }

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // fails if the caller has disconnected
}
