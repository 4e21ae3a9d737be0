package peerjs_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"icebox/signal"
	"icebox/signal/gateway"
	"icebox/signal/protocol/peerjs"
	"icebox/signal/signaltest"
	"icebox/signal/signaltest/stack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secretKey = "s3cret-key-of-web"

// site is a gateway on a loopback address that serves PeerJS at /peerjs.
type site struct {
	t        *testing.T
	hub      *signal.Hub
	gateway  *gateway.Gateway
	registry *prometheus.Registry
	url      string // an http URL
}

func serve(t *testing.T, change ...func(*signal.Limits)) *site {
	t.Helper()
	return serveFor(t, 0, change...)
}

// serveFor is serve with a value for Options.ExpireAfter.
func serveFor(t *testing.T, expire time.Duration, change ...func(*signal.Limits)) *site {
	t.Helper()
	limits := signaltest.Limits(change...)
	s := &site{t: t, registry: prometheus.NewRegistry()}
	s.hub = signaltest.Hub(t, signal.Options{Registerer: s.registry}, limits)
	var err error
	if s.gateway, err = gateway.New(gateway.Options{Hub: s.hub, Registerer: s.registry}, limits); err != nil {
		t.Fatal(err)
	}
	h, err := peerjs.New(peerjs.Options{Hub: s.hub, Registerer: s.registry, ExpireAfter: expire})
	if err != nil {
		t.Fatal(err)
	}
	web, err := stack.Listener(s.gateway, s.hub, gateway.Listener{Loopback: true, Mounts: []gateway.Mount{{
		Route: peerjs.Protocol, Path: "/peerjs", Routes: []string{"/peerjs"},
		Serve: func(w http.ResponseWriter, r *http.Request, d *gateway.Access) { h.Serve(w, r, d) },
	}}})
	if err != nil {
		t.Fatal(err)
	}
	s.url = signaltest.Serve(t, s.hub, web)
	return s
}

// peer is a client.
type peer struct{ *signaltest.Conn }

// dial connects to a path such as /peerjs/peerjs with a query. If the handshake fails, it returns nil and the HTTP status.
func (s *site) dial(path string, query url.Values, h http.Header) (*peer, int) {
	s.t.Helper()
	c, status := signaltest.Dial(s.t, s.url+path+"?"+query.Encode(), h)
	if c == nil {
		return nil, status
	}
	return &peer{c.ReadInBackground()}, status
}

// openWithoutReading connects and waits until the client has its id. Afterwards the connection is not read, so pings are not
// answered.
func (s *site) openWithoutReading(key, id, token string) {
	s.t.Helper()
	query := url.Values{"key": {key}, "id": {id}, "token": {token}}
	signaltest.MustDial(s.t, gorilla.DefaultDialer, s.url+"/peerjs/peerjs?"+query.Encode()).Want(`{"type":"OPEN"}`)
}

// connect connects as a PeerJS client does.
func (s *site) connect(key, id, token string) *peer {
	s.t.Helper()
	p, status := s.dial("/peerjs/peerjs", url.Values{"key": {key}, "id": {id}, "token": {token}, "version": {"1.5.5"}}, nil)
	if p == nil {
		s.t.Fatalf("connect as %s: %d", id, status)
	}
	return p
}

// open connects and waits until the client has its id.
func (s *site) open(key, id, token string) *peer {
	s.t.Helper()
	p := s.connect(key, id, token)
	p.Want(`{"type":"OPEN"}`)
	return p
}

// still checks that the client was sent nothing. It sends a message to its own id, which has to be the next one that
// arrives.
func (p *peer) still(id string) {
	p.TB.Helper()
	p.Send(`{"type":"ANSWER","dst":"` + id + `","payload":{"still":1}}`)
	p.Want(`{"type":"ANSWER","src":"` + id + `","dst":"` + id + `","payload":{"still":1}}`)
}

func (s *site) get(path string, h http.Header) (status int, header http.Header, body string) {
	s.t.Helper()
	resp, text := signaltest.Request(s.t, http.MethodGet, s.url+path, "", h)
	return resp.StatusCode, resp.Header, string(text)
}

// count returns the value of the counter that has this label value.
func (s *site) count(name, label, value string) float64 {
	s.t.Helper()
	return signaltest.Metric(s.t, s.registry, name, label, value)
}

// counted waits until a counter has the value want.
func (s *site) counted(name, label, value string, want float64) {
	s.t.Helper()
	signaltest.UntilMetric(s.t, s.registry, name, label, value, want)
}

func (s *site) refused(code string, want float64) {
	s.t.Helper()
	s.counted("icebox_signal_refused_total", "code", code, want)
}

func list(t *testing.T, text string) (ids []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &ids); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return ids
}
