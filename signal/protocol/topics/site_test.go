package topics_test

import (
	"encoding/json"
	"net/http"
	"testing"

	gorilla "github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"icebox/signal"
	"icebox/signal/gateway"
	"icebox/signal/protocol/topics"
	"icebox/signal/signaltest"
	"icebox/signal/signaltest/stack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a gateway on a loopback address that serves both dialects.
type site struct {
	t        *testing.T
	hub      *signal.Hub
	gateway  *gateway.Gateway
	registry *prometheus.Registry
	url      string // an http URL
}

func serve(t *testing.T, change ...func(*signal.Limits)) *site {
	t.Helper()
	limits := signaltest.Limits(change...)
	s := &site{t: t, registry: prometheus.NewRegistry()}
	s.hub = signaltest.Hub(t, signal.Options{Registerer: s.registry}, limits)
	var err error
	if s.gateway, err = gateway.New(gateway.Options{Hub: s.hub, Registerer: s.registry}, limits); err != nil {
		t.Fatal(err)
	}
	l := gateway.Listener{Loopback: true}
	for _, d := range []topics.Dialect{topics.YWebRTC(), topics.Trystero()} {
		h, err := topics.New(d, topics.Options{Hub: s.hub, Registerer: s.registry})
		if err != nil {
			t.Fatal(err)
		}
		l.Mounts = append(l.Mounts, gateway.Mount{
			Route: d.Protocol, Path: "/" + d.Protocol, Routes: []string{"/" + d.Protocol},
			Serve: func(w http.ResponseWriter, r *http.Request, d *gateway.Access) { h.Serve(w, r, d) },
		})
	}
	web, err := stack.Listener(s.gateway, s.hub, l)
	if err != nil {
		t.Fatal(err)
	}
	s.url = signaltest.Serve(t, s.hub, web)
	return s
}

type client struct{ *signaltest.Conn }

// dial opens a WebSocket and returns the HTTP status. If the handshake fails, the client cannot be used.
func (s *site) dial(path string, h http.Header) (client, int) {
	s.t.Helper()
	c, status := signaltest.Dial(s.t, s.url+path, h)
	return client{c}, status
}

func (s *site) connect(path string) client {
	s.t.Helper()
	return client{signaltest.MustDial(s.t, gorilla.DefaultDialer, s.url+path)}
}

// wantRefusal checks that the next message is a refusal with this code, in the format of either dialect.
func (c client) wantRefusal(code string) {
	c.TB.Helper()
	got, err := c.Next()
	var y struct {
		Type, Code string
		Error      struct{ Code string }
	}
	if err != nil || json.Unmarshal(got, &y) != nil || y.Code+y.Error.Code != code {
		c.TB.Fatalf("got %s, %v, want the refusal %s", got, err, code)
	}
}

// ping checks that the client was sent nothing: the answer to its ping has to be the next message.
func (c client) ping() {
	c.TB.Helper()
	c.Send(`{"type":"ping"}`)
	c.Want(`{"type":"pong"}`)
}

// count returns the value of the counter or gauge that has this label value.
func (s *site) count(name, label, value string) float64 {
	s.t.Helper()
	return signaltest.Metric(s.t, s.registry, name, label, value)
}

// counted waits until a metric has the value want.
func (s *site) counted(name, label, value string, want float64) {
	s.t.Helper()
	signaltest.UntilMetric(s.t, s.registry, name, label, value, want)
}
