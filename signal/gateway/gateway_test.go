package gateway

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"icebox/signal"
	"icebox/signal/signaltest"
)

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

func TestOriginsOfWebSockets(t *testing.T) {
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

func TestForwardedHostIsTrustedFromProxiesOnly(t *testing.T) {
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
	// A proxy in front may use a password of its own.
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
	_ = first.Close()
	signaltest.Until(t, "a connection that has ended stops counting", func() bool {
		_, status := s.dial("/ws", from("2001:db8::3"))
		return status == 101
	})
	// A handshake that fails does not count as a connection afterwards.
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
	if _, err := s.gateway.PrepareLimits(bad); err == nil {
		t.Error("bad limits are valid")
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

func TestProviderGetsTheVisitor(t *testing.T) {
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

func TestDrainingRefusesConnections(t *testing.T) {
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
