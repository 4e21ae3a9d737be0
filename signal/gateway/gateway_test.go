package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"icebox/signal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience  = 10 * time.Second
	secretKey = "s3cret-key-of-web"
)

// site is a gateway with one listener, and what its provider was asked.
type site struct {
	t       *testing.T
	gateway *Gateway
	hub     *signal.Hub
	url     string // of http

	mu     sync.Mutex
	asked  []signal.ICERequest
	logged bytes.Buffer
}

// ice is a provider of STUN and TURN that keeps what it is asked.
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

// public is a listener that isn't bound to loopback, although tests reach it there.
var public = Listener{}

func serve(t *testing.T, l Listener, change ...func(*signal.Limits)) *site {
	t.Helper()
	limits := signal.DefaultLimits()
	for _, f := range change {
		f(&limits)
	}
	s := &site{t: t}
	log := slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if s.hub, err = signal.New(signal.Options{Logger: log}, limits); err != nil {
		t.Fatal(err)
	}
	pages := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a page") })
	if s.gateway, err = New(Options{Hub: s.hub, ICE: s.ice, Pages: pages, Logger: log}, limits); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.gateway.Listener(l))
	s.url = srv.URL
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.hub.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		srv.Close()
	})
	return s
}

func byKey(l *signal.Limits) {
	l.Access, l.Keys = signal.ByKey, []signal.Key{{Name: "app", Key: "another-key"}, {Name: "web", Key: secretKey}}
}

func withKeys(l *signal.Limits) {
	byKey(l)
	l.Access = signal.Open
}

// headers makes a header of names and values.
func headers(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// dial opens a WebSocket and returns the status of a refusal, or 101.
func (s *site) dial(path string, h http.Header) (*websocket.Conn, int) {
	s.t.Helper()
	ws, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http")+path, h)
	if resp == nil {
		s.t.Fatal(err)
	}
	if ws != nil {
		s.t.Cleanup(func() { ws.Close() })
	}
	return ws, resp.StatusCode
}

// login signs in and returns the reply.
func (s *site) login(ws *websocket.Conn, name string) (reply struct {
	Success    bool
	ICEServers []signal.RTCIceServer
	ICEError   struct{ Code, Message string }
	Token      string
}) {
	s.t.Helper()
	if err := ws.WriteJSON(map[string]string{"type": "login", "name": name}); err != nil {
		s.t.Fatal(err)
	}
	_ = ws.SetReadDeadline(time.Now().Add(patience))
	if err := ws.ReadJSON(&reply); err != nil {
		s.t.Fatal(err)
	}
	if !reply.Success {
		s.t.Fatalf("login as %q failed: %+v", name, reply)
	}
	return reply
}

// ask sends a request and returns the answer, its body read.
func (s *site) ask(method, path, body string, h http.Header) (*http.Response, map[string]any) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for name, values := range h {
		req.Header[name] = values
	}
	if host := h.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var object map[string]any
	if len(text) > 0 && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(text, &object); err != nil {
			s.t.Fatalf("%q: %v", text, err)
		}
	}
	return resp, object
}

func TestRoutes(t *testing.T) {
	s := serve(t, public)
	own := headers("Origin", s.url)
	for _, path := range []string{"/", "/ws", "/?x=1"} {
		ws, status := s.dial(path, own)
		if status != http.StatusSwitchingProtocols {
			t.Errorf("WebSocket on %s: %d", path, status)
			continue
		}
		s.login(ws, "al "+path)
	}
	if _, status := s.dial("/other", own); status != http.StatusOK {
		t.Errorf("WebSocket on /other isn't left to the pages: %d", status)
	}
	for path, want := range map[string]int{"/": 200, "/trickle-ice/": 200, "/?x=1": 200, "/ws": 426, "/ice": 401, "/?service=turn": 401} {
		resp, _ := s.ask("GET", path, "", nil)
		if resp.StatusCode != want {
			t.Errorf("GET %s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}

func TestWebSocketsAreJudgedByOrigin(t *testing.T) {
	s := serve(t, public, func(l *signal.Limits) { l.Origins = []string{"https://app.example.org"} })
	for origin, want := range map[string]int{
		s.url:                      101,
		"http://127.0.0.1:1":       101,
		"https://app.example.org":  101,
		"https://evil.example.org": 403,
		"null":                     403,
		"":                         403,
	} {
		h := headers("Origin", origin)
		if origin == "" {
			h = nil
		}
		if _, status := s.dial("/ws", h); status != want {
			t.Errorf("origin %q: %d, want %d", origin, status, want)
		}
	}
	s = serve(t, Listener{Loopback: true})
	for _, h := range []http.Header{nil, headers("Origin", "null"), headers("Origin", "file://")} {
		if _, status := s.dial("/ws", h); status != 101 {
			t.Errorf("on loopback with %v: %d", h, status)
		}
		if h == nil {
			h = http.Header{}
		}
		h.Set("X-Forwarded-For", "192.0.2.1")
		if _, status := s.dial("/ws", h); status != 403 {
			t.Errorf("on loopback behind a proxy with %v: %d", h, status)
		}
	}
}

func TestForwardedHostIsBelievedFromProxiesOnly(t *testing.T) {
	h := headers("Origin", "https://turn.example.org", "X-Forwarded-Host", "turn.example.org")
	if _, status := serve(t, public).dial("/ws", h); status != 101 {
		t.Errorf("from a trusted proxy: %d", status)
	}
	untrusting := func(l *signal.Limits) { l.TrustedProxies = nil }
	if _, status := serve(t, public, untrusting).dial("/ws", h); status != 403 {
		t.Errorf("from anybody: %d", status)
	}
}

func TestAccessByKey(t *testing.T) {
	s := serve(t, public, byKey)
	for query, want := range map[string]int{
		"": 401, "?key=": 401, "?key=wrong": 403, "?key=" + secretKey + "x": 403, "?key=" + secretKey: 101, "?apiKey=another-key": 101,
	} {
		if _, status := s.dial("/ws"+query, nil); status != want {
			t.Errorf("%q: %d, want %d", query, status, want)
		}
	}
	// A proxy in front may have asked for a password of its own.
	if _, status := s.dial("/ws?key="+secretKey, headers("Authorization", "Basic YTpi")); status != 101 {
		t.Errorf("beside a proxy's password: %d", status)
	}
	s.mu.Lock()
	log := s.logged.String()
	s.mu.Unlock()
	if strings.Contains(log, secretKey) || strings.Contains(log, "another-key") || strings.Contains(log, "wrong") {
		t.Errorf("a key is in the log:\n%s", log)
	}
	if !strings.Contains(log, "key=web") || !strings.Contains(log, "reason=bad_key") {
		t.Errorf("the log lacks a key's name or a refusal:\n%s", log)
	}
}

func TestConnectionsAreLimitedPerAddress(t *testing.T) {
	s := serve(t, public, func(l *signal.Limits) { l.ConnsPerAddr, l.ConnsTotal = 2, 3 })
	from := func(addr string) http.Header { return headers("Origin", s.url, "X-Forwarded-For", addr) }
	s.dial("/ws", from("2001:db8::1"))
	first, _ := s.dial("/ws", from("2001:db8::2"))
	if _, status := s.dial("/ws", from("2001:db8::3")); status != 429 {
		t.Errorf("the third of a /64: %d", status)
	}
	if _, status := s.dial("/ws", from("2001:db8:0:1::1")); status != 101 {
		t.Errorf("the first of another: %d", status)
	}
	if _, status := s.dial("/ws", from("192.0.2.1")); status != 503 {
		t.Errorf("the fourth of all: %d", status)
	}
	first.Close()
	for end := time.Now().Add(patience); ; {
		if _, status := s.dial("/ws", from("2001:db8::3")); status == 101 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("a place that was left isn't free: %d", status)
		}
	}
	// A handshake that fails gives its place back.
	for range 10 {
		h := from("198.51.100.1")
		h.Set("Connection", "Upgrade")
		h.Set("Upgrade", "websocket")
		if resp, _ := s.ask("GET", "/ws", "", h); resp.StatusCode != 503 {
			t.Fatalf("status %d", resp.StatusCode)
		}
	}
	limits := signal.DefaultLimits()
	if err := s.gateway.SetLimits(limits); err != nil {
		t.Fatal(err)
	}
	for range limits.ConnsPerAddr + 10 {
		h := from("198.51.100.1")
		h.Set("Connection", "Upgrade")
		h.Set("Upgrade", "websocket")
		if resp, _ := s.ask("GET", "/ws", "", h); resp.StatusCode != 400 {
			t.Fatalf("status %d", resp.StatusCode)
		}
	}
}

func TestLimitsAreReplacedAsAWhole(t *testing.T) {
	s := serve(t, public)
	bad := signal.DefaultLimits()
	bad.Origins, bad.MaxMessage = []string{"nonsense"}, 5000
	if err := s.gateway.SetLimits(bad); err == nil || s.hub.Limits().MaxMessage == 5000 {
		t.Errorf("bad limits: %v, and the hub has max message %d", err, s.hub.Limits().MaxMessage)
	}
	good := signal.DefaultLimits()
	byKey(&good)
	if err := s.gateway.SetLimits(good); err != nil {
		t.Fatal(err)
	}
	if _, status := s.dial("/ws", headers("Origin", s.url)); status != 401 {
		t.Errorf("status %d after access became by key", status)
	}
	if _, err := New(Options{}, good); err == nil {
		t.Error("a gateway without a hub was made")
	}
	if _, err := New(Options{Hub: s.hub}, bad); err == nil {
		t.Error("a gateway with bad limits was made")
	}
}

func TestVisitorsReachTheProvider(t *testing.T) {
	s := serve(t, public)
	ws, _ := s.dial("/ws", headers("Origin", "https://turn.example.org:8443", "X-Forwarded-For", "192.0.2.77", "X-Forwarded-Host", "Turn.example.org:8443"))
	if reply := s.login(ws, "al"); len(reply.ICEServers) != 2 {
		t.Errorf("ICE servers %v", reply.ICEServers)
	}
	want := signal.ICERequest{User: "al", Host: "turn.example.org", Addr: netip.MustParseAddr("192.0.2.77")}
	if got := s.lastAsked(); got != want {
		t.Errorf("asked %+v, want %+v", got, want)
	}
}

func TestDrainingRefusesAtTheDoor(t *testing.T) {
	s := serve(t, public)
	if err := s.hub.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, status := s.dial("/ws", headers("Origin", s.url)); status != 503 {
		t.Errorf("WebSocket: %d", status)
	}
	if resp, _ := s.ask("GET", "/ice", "", headers("Origin", s.url)); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("ICE servers: %d", resp.StatusCode)
	}
}
