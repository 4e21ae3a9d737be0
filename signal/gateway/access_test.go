package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"icebox/signal"
	"icebox/signal/signaltest"
)

// mounted returns a public listener with a mounted protocol whose requests serve handles.
func mounted(path string, routes []string, serve func(http.ResponseWriter, *http.Request, *Access)) Listener {
	return Listener{Mounts: []Mount{{Route: "theirs", Path: path, Routes: routes, Serve: serve}}}
}

func TestRoutesOfMounts(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request, _ *Access) {
		_, _ = fmt.Fprintf(w, "theirs %q", r.URL.Path)
	}
	s := serve(t, mounted("/base", []string{"/base/api", "/base/b"}, echo))
	for path, want := range map[string]string{
		"/base/api": `theirs "/api"`, "/base/api/": `theirs "/api/"`, "/base/b/c%2Fd?e": `theirs "/b/c/d"`,
		"/base": "a page", "/base/apiary": "a page", "/api": "a page", "/x/base/api": "a page", "/": "a page",
	} {
		if got := s.text(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func (s *site) text(path string) string {
	s.t.Helper()
	_, text := signaltest.Request(s.t, "GET", s.url+path, "", nil)
	return string(text)
}

func TestAuthorize(t *testing.T) {
	var seen signal.Visitor
	judge := func(w http.ResponseWriter, r *http.Request, d *Access) {
		v, err := d.Authorize(r.URL.Query().Get("theirs"), r.Header.Get("Theirs"))
		if seen = v; err != nil {
			d.WriteError(w, err)
			return
		}
		_, _ = fmt.Fprint(w, "in")
	}
	at := mounted("/t", []string{"/t"}, judge)
	for name, c := range map[string]struct {
		access func(*signal.Limits)
		query  string
		header []string
		want   int
		key    string
		grant  string
	}{
		"open":                       {nil, "", []string{"Origin", "SELF"}, 200, "", ""},
		"open, with any secret":      {nil, "?theirs=x&key=y", []string{"Origin", "SELF"}, 200, "", ""},
		"open, from elsewhere":       {nil, "", []string{"Origin", "https://evil.example"}, 403, "", ""},
		"open, no origin":            {nil, "", nil, 403, "", ""},
		"key, none":                  {byKey, "", nil, 401, "", ""},
		"key, empty":                 {byKey, "?theirs=", []string{"Theirs", ""}, 401, "", ""},
		"key, usual place":           {byKey, "?key=" + secretKey, nil, 200, "web", ""},
		"key, their place":           {byKey, "?theirs=" + secretKey + "&key=peerjs", nil, 200, "web", ""},
		"key, their other place":     {byKey, "?theirs=random", []string{"Theirs", "another-key"}, 200, "app", ""},
		"key, wrong":                 {byKey, "?theirs=wrong", []string{"Theirs", "wrong"}, 403, "", ""},
		"key, from elsewhere":        {byKey, "?theirs=" + secretKey, []string{"Origin", "https://evil.example"}, 403, "", ""},
		"token, none":                {byToken, "", nil, 401, "", ""},
		"token, usual place":         {byToken, "?token=al", nil, 200, "", "al"},
		"token, their place":         {byToken, "?theirs=peerjs", []string{"Theirs", "al"}, 200, "", "al"},
		"token, wrong":               {byToken, "?theirs=peerjs", []string{"Theirs", "nonsense"}, 403, "", ""},
		"token, a key is not enough": {byToken, "?theirs=" + secretKey, nil, 403, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var change []func(*signal.Limits)
			if c.access != nil {
				change = append(change, c.access)
			}
			s := serve(t, at, change...)
			h := headers(c.header...)
			if h.Get("Origin") == "SELF" {
				h.Set("Origin", s.url)
			}
			resp, _ := s.ask("GET", "/t"+c.query, "", h)
			if resp.StatusCode != c.want || seen.Key != c.key || seen.Grant.Name != c.grant {
				t.Errorf("%d, key %q, grant %q", resp.StatusCode, seen.Key, seen.Grant.Name)
			}
			if !seen.Addr.IsLoopback() || seen.Host != "127.0.0.1" {
				t.Errorf("visitor %+v", seen)
			}
		})
	}
}

func TestAdmitCountsConnections(t *testing.T) {
	var leaves []func()
	var failed error
	enter := func(w http.ResponseWriter, _ *http.Request, d *Access) {
		leave, err := d.Admit()
		if err != nil {
			failed = err
			d.WriteError(w, err)
			return
		}
		leaves = append(leaves, leave)
	}
	s := serve(t, mounted("/t", []string{"/t"}, enter), func(l *signal.Limits) { l.ConnsPerAddr, l.ConnsTotal = 2, 3 })
	expect := func(addr string, status int, want error) {
		t.Helper()
		failed = nil
		if resp, _ := s.ask("GET", "/t", "", headers("X-Forwarded-For", addr)); resp.StatusCode != status || !errors.Is(failed, want) {
			t.Errorf("from %s: %d, %v", addr, resp.StatusCode, failed)
		}
	}
	expect("192.0.2.1", 200, nil)
	expect("192.0.2.1", 200, nil)
	expect("192.0.2.1", 429, signal.ErrConnLimit)
	expect("192.0.2.2", 200, nil)
	expect("192.0.2.3", 503, signal.ErrConnLimit)
	if _, status := s.dial("/ws", headers("Origin", s.url)); status != 503 {
		t.Errorf("a WebSocket beside them: %d", status)
	}
	leaves[0]()
	expect("192.0.2.1", 200, nil)
	if err := s.hub.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect("192.0.2.9", 503, signal.ErrRestarting)
}

func TestAllowCORS(t *testing.T) {
	share := func(w http.ResponseWriter, _ *http.Request, d *Access) {
		if !d.AllowCORS(w, "GET, PATCH") {
			_, _ = fmt.Fprint(w, d.IsAPIKey(secretKey), d.IsAPIKey("other"))
		}
	}
	s := serve(t, mounted("", []string{"/t"}, share), byKey, func(l *signal.Limits) { l.Origins = []string{"https://app.example.org"} })
	for origin, want := range map[string]string{"https://app.example.org": "https://app.example.org", "https://evil.example": "", s.url: s.url} {
		resp, _ := s.ask("GET", "/t", "", headers("Origin", origin))
		if got := resp.Header.Get("Access-Control-Allow-Origin"); got != want || !slices.Contains(resp.Header["Vary"], "Origin") {
			t.Errorf("%s: %q, vary %q", origin, got, resp.Header["Vary"])
		}
	}
	resp, _ := s.ask("OPTIONS", "/t", "", headers("Origin", "https://app.example.org"))
	if resp.StatusCode != 204 || resp.Header.Get("Access-Control-Allow-Methods") != "GET, PATCH" {
		t.Errorf("preflight: %d %v", resp.StatusCode, resp.Header)
	}
	if got := s.text("/t"); got != "true false" {
		t.Errorf("shared: %q", got)
	}
}

func TestMountsAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	hub := signaltest.Hub(t, signal.Options{}, signal.DefaultLimits())
	g, err := New(Options{Hub: hub, Registerer: reg}, signal.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	h := g.Listener(mounted("/t", []string{"/t"}, func(w http.ResponseWriter, _ *http.Request, d *Access) {
		_, err := d.Authorize()
		d.WriteError(w, err)
	}))
	count := func() float64 { return testutil.ToFloat64(g.metrics.routes.WithLabelValues("theirs")) }
	if n, _ := testutil.GatherAndCount(reg, "icebox_http_requests_total"); n != int(routes)+1 {
		t.Errorf("%d series before the first request", n)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/t/x", nil))
	if count() != 1 || w.Code != 403 || testutil.ToFloat64(g.metrics.refused[badOrigin]) != 1 {
		t.Errorf("%v requests, status %d", count(), w.Code)
	}
}

// The tokens of a mounted protocol get ICE servers in every mode of access. A token that the protocol does not know is handled as if the
// protocol were not mounted.
func TestTokensOfProtocolsGetICEServers(t *testing.T) {
	at := mounted("/t", []string{"/t"}, func(http.ResponseWriter, *http.Request, *Access) {})
	at.Mounts[0].Bearer = func(token string) (string, bool) {
		return map[string]string{"of al": "theirs/al"}[token], token == "of al" || token == "of somebody"
	}
	at.Mounts = append([]Mount{{Route: "other", Path: "/o", Routes: []string{"/o"}}}, at.Mounts...)
	for name, change := range map[string]func(*signal.Limits){"open": func(*signal.Limits) {}, "key": byKey, "token": byToken} {
		s := serve(t, at, change)
		for header, want := range map[string]string{"Bearer of al": "theirs/al", "Bearer of somebody": "@127.0.0.1"} {
			if resp, _ := s.ask("GET", "/ice", "", headers("Authorization", header)); resp.StatusCode != 200 || s.lastAsked().User != want {
				t.Errorf("%s, %s: %d for %q", name, header, resp.StatusCode, s.lastAsked().User)
			}
		}
		for _, header := range []string{"Bearer junk", "Basic OmFsIG9m", "of al"} {
			if resp, _ := s.ask("GET", "/ice", "", headers("Authorization", header)); resp.StatusCode != 401 {
				t.Errorf("%s, %s: %d", name, header, resp.StatusCode)
			}
		}
		if resp, _ := s.ask("GET", "/ice?key=of%20al", "", nil); resp.StatusCode != 403 {
			t.Errorf("%s, in the URL: %d", name, resp.StatusCode)
		}
	}
}
