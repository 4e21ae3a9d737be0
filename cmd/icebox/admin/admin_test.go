package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"icebox/cmd/icebox/statedir"
)

func TestHandler(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "icebox_test"}, func() float64 { return 7 }))
	var status Status
	h := Handler(Options{Gatherer: registry, Status: func() Status { return status }})
	for _, step := range []struct {
		path, want string
		status     Status
		code       int
	}{
		{"/healthz", "ok\n", Status{}, 200},
		{"/metrics", "icebox_test 7\n", Status{}, 200},
		{"/readyz", `{"ready":false,"warnings":[]}`, Status{}, 503},
		{"/readyz", `{"ready":true,"warnings":["anyone"]}`, Status{Ready: true, Warnings: []string{"anyone"}}, 200},
		{"/readyz", `{"ready":false,"problem":"stuck","warnings":[]}`, Status{Problem: "stuck"}, 503},
		{"/readyz", `"draining":{"sessions":2,"until":"2030-`, Status{Draining: &Draining{2, time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}}, 503},
		{"/other", "404", Status{}, 404},
		{"/reload", "Method Not Allowed", Status{}, 405},
	} {
		status = step.status
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, step.path, nil))
		if w.Code != step.code || !strings.Contains(w.Body.String(), step.want) {
			t.Errorf("%s: got %d %s, want %d %s", step.path, w.Code, w.Body, step.code, step.want)
		}
	}
}

// TestTokenIsRequired: other users of the host and web pages reach the address, and must not reload or drain.
func TestTokenIsRequired(t *testing.T) {
	for name, test := range map[string]struct{ token, given string }{
		"none":                    {"right", ""},
		"wrong":                   {"right", "Bearer wrong"},
		"other scheme":            {"right", "Basic right"},
		"no token is set":         {"", "Bearer "},
		"no token is set or sent": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := Handler(Options{Gatherer: prometheus.NewRegistry(), Token: test.token})
			for _, path := range []string{"/reload", "/drain"} {
				w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, nil)
				if test.given != "" {
					r.Header.Set("Authorization", test.given)
				}
				h.ServeHTTP(w, r)
				if w.Code != http.StatusUnauthorized {
					t.Errorf("%s: %d", path, w.Code)
				}
			}
		})
	}
}

// daemon returns the Access to a server of the API.
func daemon(t *testing.T, o Options) Access {
	t.Helper()
	o.Gatherer = prometheus.NewRegistry()
	o.Token = NewToken()
	s := httptest.NewServer(Handler(o))
	t.Cleanup(s.Close)
	dir, err := statedir.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAccess(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("before Publish: %v", err)
	}
	at := netip.MustParseAddrPort(s.Listener.Addr().String())
	if err := Publish(dir, netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port()), o.Token); err != nil {
		t.Fatal(err)
	}
	access, err := ReadAccess(dir)
	if err != nil || access.Address != at.String() {
		t.Fatalf("got %+v, %v", access, err)
	}
	return access
}

func TestReload(t *testing.T) {
	var fails error
	a := daemon(t, Options{Reload: func(context.Context) (Reloaded, error) { return Reloaded{[]string{"turn.users"}}, fails }})
	if done, err := a.Reload(t.Context()); err != nil || !slices.Equal(done.Changed, []string{"turn.users"}) {
		t.Errorf("got %v, %v", done, err)
	}
	reasons := Refused{"a.yaml:1: turn.realm: has changed", "another"}
	fails = reasons
	_, err := a.Reload(t.Context())
	var refused Refused
	if !errors.As(err, &refused) || !slices.Equal(refused, reasons) {
		t.Errorf("got %v, want %v", err, reasons)
	}
	fails = ErrStopping
	if _, err := a.Reload(t.Context()); err == nil || err.Error() != ErrStopping.Error() {
		t.Errorf("got %v", err)
	}
}

func TestDrain(t *testing.T) {
	until := time.Now().Add(time.Hour).Round(0)
	var within time.Duration
	a := daemon(t, Options{
		Drain: func(_ context.Context, d time.Duration) (Draining, error) {
			within = d
			return Draining{3, until}, nil
		},
		Status: func() Status { return Status{Draining: &Draining{2, until}} },
	})
	for _, want := range []time.Duration{0, 10 * time.Minute} {
		if begun, err := a.Drain(t.Context(), want); err != nil || begun.Sessions != 3 || !begun.Until.Equal(until) || within != want {
			t.Errorf("got %+v within %v, %v", begun, within, err)
		}
	}
	if s, err := a.Status(t.Context()); err != nil || s.Ready || s.Draining.Sessions != 2 {
		t.Errorf("got %+v, %v", s, err)
	}
	for _, body := range []string{"{", `{"within":"-1s"}`, `{"within":"soon"}`, `[]`} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/drain", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer x")
		Handler(Options{Gatherer: prometheus.NewRegistry(), Token: "x"}).ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", body, w.Code)
		}
	}
	gone := Access{Address: "127.0.0.1:1", Token: a.Token} // nobody listens there
	if _, err := gone.Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v", err)
	}
}
