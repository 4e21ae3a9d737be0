package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"icebox/signal"
	"icebox/signal/protocol/classic"
	"icebox/signal/protocol/native"
	"icebox/signal/signaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secretKey = "s3cret-key-of-web"

// site is a gateway with one listener. It records the requests to its ICE provider.
type site struct {
	t       *testing.T
	gateway *Gateway
	hub     *signal.Hub
	url     string // begins with http

	mu     sync.Mutex
	asked  []signal.ICERequest
	logged bytes.Buffer
}

// ice is an ICEProvider that records its requests.
func (s *site) ice(_ context.Context, r signal.ICERequest) (signal.ICEServers, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r)
	ttl := time.Hour
	if r.TTL > 0 {
		ttl = min(ttl, r.TTL)
	}
	return signal.ICEServers{
		STUN: []string{"stun:t:3478"}, TURN: []string{"turn:t:3478?transport=udp", "turns:t:5349?transport=tcp"},
		Username: "1700003600:" + r.User, Password: "pw=", TTL: ttl, Expires: time.Unix(1700003600, 0),
	}, nil
}

func (s *site) lastAsked() signal.ICERequest {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) == 0 {
		s.t.Fatal("the provider was not asked")
	}
	return s.asked[len(s.asked)-1]
}

func (s *site) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logged.Write(p)
}

// public is a listener that counts as public, although tests connect to it over loopback.
var public = Listener{}

func serve(t *testing.T, l Listener, change ...func(*signal.Limits)) *site {
	t.Helper()
	limits := signaltest.Limits(change...)
	s := &site{t: t}
	log := slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.hub = signaltest.Hub(t, signal.Options{Logger: log, ClientPrefix: signaltest.ClientPrefix}, limits)
	var err error
	pages := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a page") })
	if s.gateway, err = New(Options{Hub: s.hub, ICE: s.ice, Pages: pages, Logger: log}, limits); err != nil {
		t.Fatal(err)
	}
	n, err := native.New(native.Options{Hub: s.hub, ICE: s.gateway.SignInICE, Authorize: s.gateway.AuthorizeHello, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	c := classic.New(s.hub, s.gateway.SignInICE, log, classic.Options{})
	l.Mounts = append(l.Mounts,
		Mount{Route: "websocket", Match: func(r *http.Request) bool { return WebSocketPath(r) && native.Offered(r) },
			Serve: func(w http.ResponseWriter, r *http.Request, a *Access) { n.ServeWebSocket(w, r, a) }},
		Mount{Route: "websocket", Match: WebSocketPath, Serve: func(w http.ResponseWriter, r *http.Request, a *Access) { c.Serve(w, r, a) }},
		Mount{Route: "session", Match: native.IsEventsPath, Serve: func(w http.ResponseWriter, r *http.Request, a *Access) { n.ServeEvents(w, r, a) }},
	)
	s.url = signaltest.Serve(t, s.hub, s.gateway.Listener(l))
	return s
}

func byKey(l *signal.Limits) {
	l.Access, l.Keys = signal.ByKey, []signal.Key{{Name: "app", Key: "another-key"}, {Name: "web", Key: secretKey}}
}

func withKeys(l *signal.Limits) {
	byKey(l)
	l.Access = signal.Open
}

// headers returns a header with the given names and values.
func headers(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// dial opens a WebSocket and returns 101, or the status of the refusal.
func (s *site) dial(path string, h http.Header) (*signaltest.Conn, int) {
	s.t.Helper()
	return signaltest.Dial(s.t, s.url+path, h)
}

// login signs in and returns the reply.
func (s *site) login(ws *signaltest.Conn, name string) (reply struct {
	Success    bool
	ICEServers []signal.RTCIceServer
	ICEError   struct{ Code, Message string }
	Token      string
}) {
	s.t.Helper()
	ws.Sendf(`{"type":"login","name":%q}`, name)
	if err := json.Unmarshal(ws.MustNext(), &reply); err != nil || !reply.Success {
		s.t.Fatalf("login as %q failed: %+v, %v", name, reply, err)
	}
	return reply
}

// ask sends a request and returns the response and its body.
func (s *site) ask(method, path, body string, h http.Header) (*http.Response, map[string]any) {
	s.t.Helper()
	resp, text := signaltest.Request(s.t, method, s.url+path, body, h)
	var object map[string]any
	if len(text) > 0 && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(text, &object); err != nil {
			s.t.Fatalf("%q: %v", text, err)
		}
	}
	return resp, object
}
