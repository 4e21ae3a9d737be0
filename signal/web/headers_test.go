package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestEveryResponseHasSecurityHeaders(t *testing.T) {
	want := map[string]string{
		"X-Content-Type-Options":       "nosniff",
		"Referrer-Policy":              "no-referrer",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
	}
	for _, line := range []string{
		"GET /", "HEAD /", "GET /trickle-ice/", "GET /trickle-ice", "GET /assets/icon.svg", "GET /nothing", "POST /",
	} {
		method, target, _ := strings.Cut(line, " ")
		got := request(t, method, target).Header
		for name, value := range want {
			if got.Get(name) != value {
				t.Errorf("%s: %s is %q, want %q", line, name, got.Get(name), value)
			}
		}
		if p := got.Get("Permissions-Policy"); !strings.Contains(p, "camera=(self), microphone=(self)") {
			t.Errorf("%s: Permissions-Policy is %q", line, p)
		}
		if got.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: no Content-Security-Policy", line)
		}
	}
}

func TestContentSecurityPolicy(t *testing.T) {
	const base = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob:; " +
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; " +
		"require-trusted-types-for 'script'; trusted-types 'none'; connect-src 'self'"
	for host, sources := range map[string]string{
		"call.example.org":          " ws://call.example.org wss://call.example.org",
		"call.example.org:8443":     " ws://call.example.org:8443 wss://call.example.org:8443",
		"192.0.2.7:8080":            " ws://192.0.2.7:8080 wss://192.0.2.7:8080",
		"[2001:db8::1]:8080":        " ws://[2001:db8::1]:8080 wss://[2001:db8::1]:8080",
		"[2001:db8::1]":             " ws://[2001:db8::1] wss://[2001:db8::1]",
		"":                          "",
		"a;script-src%20*":          "",
		"a.org; script-src *":       "",
		"a.org,default-src":         "",
		"*":                         "",
		"*.example.org":             "",
		"a'unsafe-inline'":          "",
		"evil.org ws://evil.org":    "",
		"[fe80::1%25eth0]:80":       "",
		"[not-an-address]":          "",
		"a.org:port":                "",
		strings.Repeat("a", 70_000): "",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		Handler(Options{}).ServeHTTP(w, r)
		if got := w.Header().Get("Content-Security-Policy"); got != base+sources {
			t.Errorf("host %.40q:\n got %s\nwant %s", host, got, base+sources)
		}
	}
}

func FuzzPlainHost(f *testing.F) {
	for _, seed := range []string{"a.org", "a.org:1", "[::1]:8080", "[::ffff:192.0.2.1%x]", "a;b", "a b", "*", "'self'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if plainHost(host) && strings.ContainsAny(host, " ;,'*\"/\\%@\t\r\n") {
			t.Errorf("plainHost(%q) is true", host)
		}
	})
}
