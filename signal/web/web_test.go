package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// request sends one request with the given method to a new handler.
func request(t *testing.T, method, target string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	Handler(Options{}).ServeHTTP(w, r)
	return w.Result()
}

func TestServesFiles(t *testing.T) {
	for target, want := range map[string]struct{ contentType, text string }{
		"/":                              {"text/html; charset=utf-8", `id="sign-in-form"`},
		"/?key=secret&policy=relay":      {"text/html; charset=utf-8", `id="sign-in-form"`},
		"/trickle-ice/":                  {"text/html; charset=utf-8", `id="server-form"`},
		"/assets/base.css":               {"text/css; charset=utf-8", ":root"},
		"/assets/call/main.js":           {"text/javascript; charset=utf-8", "import"},
		"/assets/trickle/trickle.css":    {"text/css; charset=utf-8", ".findings"},
		"/assets/icon.svg":               {"image/svg+xml", "<svg"},
		"/assets/basics/../call/main.js": {"text/html; charset=utf-8", "does not exist"},
	} {
		t.Run(target, func(t *testing.T) {
			got := request(t, http.MethodGet, target)
			body, err := io.ReadAll(got.Body)
			if err != nil {
				t.Fatal(err)
			}
			if got.Header.Get("Content-Type") != want.contentType {
				t.Errorf("content type is %q, want %q", got.Header.Get("Content-Type"), want.contentType)
			}
			if !strings.Contains(string(body), want.text) {
				t.Errorf("the body lacks %q", want.text)
			}
		})
	}
}

func TestHeadHasNoBody(t *testing.T) {
	for _, target := range []string{"/", "/assets/base.css", "/nothing"} {
		got := request(t, http.MethodHead, target)
		if body, _ := io.ReadAll(got.Body); len(body) != 0 {
			t.Errorf("HEAD %s has a body of %d bytes", target, len(body))
		}
	}
}

func TestUnchangedFileIsNotSentAgain(t *testing.T) {
	first := request(t, http.MethodGet, "/assets/call/main.js")
	if cache := first.Header.Get("Cache-Control"); cache != "no-cache" {
		t.Errorf("Cache-Control is %q, want no-cache", cache)
	}
	tag := first.Header.Get("ETag")
	if again := request(t, http.MethodGet, "/assets/call/main.js", "If-None-Match", tag); again.StatusCode != http.StatusNotModified {
		t.Errorf("status with the same ETag is %d, want 304", again.StatusCode)
	}
	if other := request(t, http.MethodGet, "/assets/base.css", "If-None-Match", tag); other.StatusCode != http.StatusOK {
		t.Errorf("status with another file's ETag is %d, want 200", other.StatusCode)
	}
}

func TestMissingFileIs404AndNotCached(t *testing.T) {
	for _, target := range []string{"/nothing", "/index.html", "/trickle-ice/index.html", "/404.html", "/assets/", "/assets/call", "/web.go"} {
		got := request(t, http.MethodGet, target)
		if got.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: status is %d, want 404", target, got.StatusCode)
		}
		if cache := got.Header.Get("Cache-Control"); cache != "no-store" {
			t.Errorf("GET %s: Cache-Control is %q, want no-store", target, cache)
		}
	}
}

func TestMissingTrailingSlashIsRedirected(t *testing.T) {
	for target, want := range map[string]string{
		"/trickle-ice":                  "trickle-ice/",
		"/trickle-ice?key=a%20b&x=/../": "trickle-ice/?key=a%20b&x=/../",
	} {
		got := request(t, http.MethodGet, target)
		if got.StatusCode != http.StatusPermanentRedirect || got.Header.Get("Location") != want {
			t.Errorf("GET %s: %d to %q, want 308 to %q", target, got.StatusCode, got.Header.Get("Location"), want)
		}
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE"} {
		got := request(t, method, "/")
		if got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q; want 405 and GET, HEAD", method, got.StatusCode, got.Header.Get("Allow"))
		}
	}
}

func TestFileOfUnknownTypeIsRefused(t *testing.T) {
	_, err := load(fstest.MapFS{"notes.txt": {Data: []byte("x")}})
	if err == nil || err.Error() != `notes.txt: no content type for ".txt"` {
		t.Errorf("error is %v", err)
	}
}

func TestMetricCountsOutcomes(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	h := Handler(Options{Registerer: reg})
	if n, err := testutil.GatherAndCount(reg, "icebox_http_pages_total"); err != nil || n != 4 {
		t.Fatalf("%d series before the first request, error %v; want 4", n, err)
	}
	for _, r := range []*http.Request{
		httptest.NewRequest("GET", "/", nil),
		httptest.NewRequest("GET", "/assets/base.css", nil),
		httptest.NewRequest("GET", "/trickle-ice", nil),
		httptest.NewRequest("GET", "/nothing", nil),
		httptest.NewRequest("POST", "/", nil),
	} {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	want := `# HELP icebox_http_pages_total Requests for the embedded pages and their assets, by how they ended.
# TYPE icebox_http_pages_total counter
icebox_http_pages_total{outcome="bad_method"} 1
icebox_http_pages_total{outcome="not_found"} 1
icebox_http_pages_total{outcome="redirected"} 1
icebox_http_pages_total{outcome="served"} 2
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "icebox_http_pages_total"); err != nil {
		t.Error(err)
	}
}
