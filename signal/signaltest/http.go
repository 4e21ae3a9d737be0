package signaltest

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Request sends an HTTP request and returns the response, whose body it has read. It does not follow redirects. A header
// field Host replaces the host of the URL.
func Request(tb testing.TB, method, url, body string, h http.Header) (resp *http.Response, text []byte) {
	tb.Helper()
	r, err := http.NewRequestWithContext(Within(tb), method, url, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	for name, values := range h {
		r.Header[name] = values
	}
	if host := h.Get("Host"); host != "" {
		r.Host = host
	}
	if resp, err = http.DefaultTransport.RoundTrip(r); err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if text, err = io.ReadAll(resp.Body); err != nil {
		tb.Fatal(err)
	}
	return resp, text
}
