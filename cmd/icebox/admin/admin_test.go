package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestHandler(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "icebox_test"}, func() float64 { return 7 }))
	var status Status
	h := Handler(registry, func() Status { return status })
	for _, step := range []struct {
		path, want string
		status     Status
		code       int
	}{
		{"/healthz", "ok\n", Status{}, 200},
		{"/metrics", "icebox_test 7\n", Status{}, 200},
		{"/readyz", `{"ready":false,"warnings":[]}`, Status{}, 503},
		{"/readyz", `{"ready":true,"warnings":["anyone"]}`, Status{true, []string{"anyone"}}, 200},
		{"/other", "404", Status{}, 404},
	} {
		status = step.status
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, step.path, nil))
		if w.Code != step.code || !strings.Contains(w.Body.String(), step.want) {
			t.Errorf("%s: got %d %s, want %d %s", step.path, w.Code, w.Body, step.code, step.want)
		}
	}
}
