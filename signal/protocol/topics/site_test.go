package topics_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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

const patience = 20 * time.Second

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
	limits := signal.DefaultLimits()
	for _, f := range change {
		f(&limits)
	}
	s := &site{t: t, registry: prometheus.NewRegistry()}
	var err error
	if s.hub, err = signal.New(signal.Options{Registerer: s.registry}, limits); err != nil {
		t.Fatal(err)
	}
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
	srv := httptest.NewServer(web)
	s.url = srv.URL
	signaltest.CloseAtEnd(t, s.hub, srv)
	return s
}

type client struct {
	t  *testing.T
	ws *gorilla.Conn
}

// dial opens a WebSocket. If the handshake fails, it returns nil and the HTTP status.
func (s *site) dial(path string, h http.Header) (*client, int) {
	s.t.Helper()
	ws, resp, err := gorilla.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http")+path, h)
	if err != nil {
		if resp == nil {
			s.t.Fatal(err)
		}
		return nil, resp.StatusCode
	}
	s.t.Cleanup(func() { _ = ws.Close() })
	_ = ws.SetReadDeadline(time.Now().Add(patience))
	return &client{s.t, ws}, resp.StatusCode
}

func (s *site) connect(path string) *client {
	s.t.Helper()
	c, status := s.dial(path, nil)
	if c == nil {
		s.t.Fatalf("%s: %d", path, status)
	}
	return c
}

func (c *client) send(format string, args ...any) {
	c.t.Helper()
	if err := c.ws.WriteMessage(gorilla.TextMessage, fmt.Appendf(nil, format, args...)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) want(frames ...string) {
	c.t.Helper()
	for _, want := range frames {
		if _, got, err := c.ws.ReadMessage(); err != nil || string(got) != want {
			c.t.Fatalf("got %s, %v, want %s", got, err, want)
		}
	}
}

// wantRefusal checks that the next message is a refusal with this code, in the format of either dialect.
func (c *client) wantRefusal(code string) {
	c.t.Helper()
	_, got, err := c.ws.ReadMessage()
	var y struct {
		Type, Code string
		Error      struct{ Code string }
	}
	if err != nil || json.Unmarshal(got, &y) != nil || y.Code+y.Error.Code != code {
		c.t.Fatalf("got %s, %v, want the refusal %s", got, err, code)
	}
}

// ping checks that the client was sent nothing: the answer to its ping has to be the next message.
func (c *client) ping() {
	c.t.Helper()
	c.send(`{"type":"ping"}`)
	c.want(`{"type":"pong"}`)
}

// count returns the value of the counter or gauge that has this label value.
func (s *site) count(name, label, value string) float64 {
	s.t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetName() == label && l.GetValue() == value {
					return m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
	}
	s.t.Fatalf("there is no %s{%s=%q}", name, label, value)
	return 0
}

// counted waits until a metric has the value want.
func (s *site) counted(name, label, value string, want float64) {
	s.t.Helper()
	got := s.count(name, label, value)
	for end := time.Now().Add(patience); got != want && time.Now().Before(end); got = s.count(name, label, value) {
	}
	if got != want {
		s.t.Errorf("%s{%s=%q} is %v, want %v", name, label, value, got, want)
	}
}
