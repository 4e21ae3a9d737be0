package peerjs_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
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

const (
	patience  = 20 * time.Second
	secretKey = "s3cret-key-of-web"
)

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
	srv := httptest.NewServer(web)
	s.url = srv.URL
	signaltest.CloseAtEnd(t, s.hub, srv)
	return s
}

// peer is a client. It reads in the background, and so answers pings.
type peer struct {
	t   *testing.T
	ws  *gorilla.Conn
	got chan string // the messages; closed when the connection ends
	end error       // why the connection ended; set before got is closed
}

func (p *peer) read() {
	defer close(p.got)
	for {
		_, frame, err := p.ws.ReadMessage()
		if err != nil {
			p.end = err
			return
		}
		p.got <- string(frame)
	}
}

// next returns the next message, or false if the connection has ended.
func (p *peer) next() (frame string, ok bool) {
	p.t.Helper()
	select {
	case frame, ok = <-p.got:
		return frame, ok
	case <-time.After(patience):
		p.t.Fatal("no message arrived in time")
		return "", false
	}
}

// dial connects to a path such as /peerjs/peerjs with a query. If the handshake fails, it returns nil and the HTTP status.
func (s *site) dial(path string, query url.Values, h http.Header) (*peer, int) {
	s.t.Helper()
	ws, resp, err := gorilla.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http")+path+"?"+query.Encode(), h)
	if err != nil {
		if resp == nil {
			s.t.Fatal(err)
		}
		return nil, resp.StatusCode
	}
	p := &peer{t: s.t, ws: ws, got: make(chan string, 1024)}
	go p.read()
	s.t.Cleanup(func() {
		_ = ws.Close()
		for range p.got {
		}
	})
	return p, resp.StatusCode
}

// dialWithoutReading returns a connection that is not read, so that pings are not answered.
func (s *site) dialWithoutReading(key, id, token string) *gorilla.Conn {
	s.t.Helper()
	query := url.Values{"key": {key}, "id": {id}, "token": {token}}
	ws, _, err := gorilla.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http")+"/peerjs/peerjs?"+query.Encode(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = ws.Close() })
	return ws
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
	p.want(`{"type":"OPEN"}`)
	return p
}

func (p *peer) send(text string) {
	p.t.Helper()
	if err := p.ws.WriteMessage(gorilla.TextMessage, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// want checks that the next messages are these.
func (p *peer) want(frames ...string) {
	p.t.Helper()
	for _, want := range frames {
		if got, ok := p.next(); got != want {
			p.t.Fatalf("got %q, %v, want %s", got, ok, want)
		}
	}
}

// wantEnd checks that the connection ends with this close code, without a further message.
func (p *peer) wantEnd(code int) {
	p.t.Helper()
	if got, ok := p.next(); ok || !gorilla.IsCloseError(p.end, code) {
		p.t.Fatalf("got %q, %v, want close code %d", got, p.end, code)
	}
}

// still checks that the client was sent nothing. It sends a message to its own id, which has to be the next one that
// arrives.
func (p *peer) still(id string) {
	p.t.Helper()
	p.send(`{"type":"ANSWER","dst":"` + id + `","payload":{"still":1}}`)
	p.want(`{"type":"ANSWER","src":"` + id + `","dst":"` + id + `","payload":{"still":1}}`)
}

func (s *site) get(path string, h http.Header) (status int, header http.Header, body string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, values := range h {
		r.Header[name] = values
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// count returns the value of the counter that has this label value.
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
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	s.t.Fatalf("there is no %s{%s=%q}", name, label, value)
	return 0
}

// counted waits until a counter has the value want.
func (s *site) counted(name, label, value string, want float64) {
	s.t.Helper()
	var got float64
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if got = s.count(name, label, value); got == want {
			return
		}
	}
	s.t.Errorf("%s{%s=%q} is %v, want %v", name, label, value, got, want)
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
