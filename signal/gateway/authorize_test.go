package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"icebox/signal"
	"icebox/signal/client"
	"icebox/signal/protocol/native/wire"
	"icebox/signal/signaltest"
)

// knows is a verifier that accepts these names as tokens.
type knows []string

func (k knows) Verify(_ context.Context, token string) (signal.Grant, error) {
	for _, name := range k {
		if name == token {
			return signal.Grant{Name: name}, nil
		}
	}
	return signal.Grant{}, signal.ErrTokenInvalid
}

func byToken(l *signal.Limits) {
	l.Access, l.Tokens = signal.ByToken, knows{"al", "bo"}
	l.Keys = []signal.Key{{Name: "web", Key: secretKey}}
}

// native signs a native client in, over a WebSocket or server-sent events.
func (s *site) native(o client.Options) (*client.Client, error) {
	s.t.Helper()
	o.URL = s.url
	if o.Header == nil {
		o.Header = headers("Origin", s.url)
	}
	c, err := client.Dial(signaltest.Within(s.t), o)
	if err == nil {
		s.t.Cleanup(c.Close)
	}
	return c, err
}

func TestNativeAccess(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	// The goodbye can be lost with its connection, so the probe of the old client must be fast.
	brief := func(l *signal.Limits) { l.ResumeWithin = time.Second }
	sites := map[string]*site{"open": serve(t, public, brief), "key": serve(t, public, brief, byKey), "token": serve(t, public, brief, byToken)}
	for name, c := range map[string]struct {
		site, name, token, code, as string
	}{
		"open":                       {"open", "al", "", "", "al"},
		"open without a name":        {"open", "", "", "", ""},
		"open, a token is not asked": {"open", "cy", "junk", "", "cy"},
		"by key, without":            {"key", "al", "", "token-missing", ""},
		"by key, a wrong one":        {"key", "al", "wrong", "token-invalid", ""},
		"by key":                     {"key", "al", secretKey, "", "al"},
		"by token, without":          {"token", "al", "", "token-missing", ""},
		"by token, a wrong one":      {"token", "al", "eve", "token-invalid", ""},
		"by token, an API key":       {"token", "al", secretKey, "token-invalid", ""},
		"by token":                   {"token", "al", "al", "", "al"},
		"by token, the name is its":  {"token", "", "bo", "", "bo"},
		"by token, another's name":   {"token", "al", "bo", "name-not-allowed", ""},
	} {
		for _, events := range []bool{false, true} {
			sites[c.site].t = t
			got, err := sites[c.site].native(client.Options{Name: c.name, Token: c.token, Events: events})
			var refused *client.Error
			for end := time.Now().Add(signaltest.Patience); errors.As(err, &refused) && refused.Code == "name-taken" && time.Now().Before(end); {
				// The hub may not have noticed yet that the client of the last round has closed.
				got, err = sites[c.site].native(client.Options{Name: c.name, Token: c.token, Events: events})
			}
			switch {
			case c.code == "" && err != nil:
				t.Errorf("%s, events %v: %v", name, events, err)
			case c.code != "" && (!errors.As(err, &refused) || refused.Code != c.code):
				t.Errorf("%s, events %v: %v, want %s", name, events, err, c.code)
			case err == nil && got.Welcome().Name != c.as:
				t.Errorf("%s, events %v: called %q", name, events, got.Welcome().Name)
			}
			if err == nil {
				got.Close()
			}
		}
	}
}

func TestNativeAndClassicClientsReachEachOther(t *testing.T) {
	s := serve(t, public)
	al, err := s.native(client.Options{Name: "al"})
	if err != nil {
		t.Fatal(err)
	}
	old, status := s.dial("/ws", headers("Origin", s.url, "Sec-WebSocket-Protocol", "chat"))
	if status != 101 {
		t.Fatal(status)
	}
	s.login(old, "bo")
	if err := al.Send(wire.Request{Type: wire.Send, To: "bo", Kind: wire.KindOffer, Data: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	old.Want(`{"type":"offer","offer":1,"name":"al"}`)
}

func TestClassicByToken(t *testing.T) {
	s := serve(t, public, byToken)
	for query, want := range map[string]int{"": 401, "?token=eve": 403, "?key=" + secretKey: 401, "?token=al": 101} {
		if _, status := s.dial("/ws"+query, nil); status != want {
			t.Errorf("%q: %d, want %d", query, status, want)
		}
	}
	ws, _ := s.dial("/?token=al", nil)
	for name, want := range map[string]string{"bo": signal.ErrNameNotAllowed.Code, "al": `"success":true`} {
		ws.Send(`{"type":"login","name":"` + name + `"}`)
		if text := string(ws.MustNext()); !strings.Contains(text, want) {
			t.Errorf("as %s: %s", name, text)
		}
	}
	for token, want := range map[string]int{"al": 200, "eve": 401, secretKey: 200} {
		if resp, _ := s.ask("GET", "/ice", "", headers("Authorization", "Bearer "+token)); resp.StatusCode != want {
			t.Errorf("ICE servers for %q: %d, want %d", token, resp.StatusCode, want)
		}
	}
}

func TestSessionsCountAsConnections(t *testing.T) {
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	s := serve(t, public, func(l *signal.Limits) { l.ConnsPerAddr = 2 })
	al, err := s.native(client.Options{Name: "al"})
	if err != nil {
		t.Fatal(err)
	}
	bo, err := s.native(client.Options{Name: "bo", Events: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.native(client.Options{Name: "cy"}); err == nil {
		t.Error("a third session over a WebSocket")
	}
	if _, err := s.native(client.Options{Name: "cy", Events: true}); err == nil {
		t.Error("a third session over an event stream")
	}
	al.Close()
	bo.Close()
	signaltest.Until(t, "sessions that have ended stop counting", func() bool {
		c, err := s.native(client.Options{Name: "al"})
		if err != nil {
			return false
		}
		defer c.Close()
		d, err := s.native(client.Options{Name: "bo"})
		if err == nil {
			d.Close()
		}
		return err == nil
	})
}

func TestEventsFromOtherPages(t *testing.T) {
	s := serve(t, public, func(l *signal.Limits) { l.Origins = []string{"https://app.example.org"} })
	hello := `{"type":"hello","v":1}`
	for origin, want := range map[string]int{s.url: 200, "https://app.example.org": 200, "https://evil.example": 403, "": 403} {
		h := headers("Origin", origin)
		if origin == "" {
			h = nil
		}
		resp, _ := s.ask("POST", "/v1/hello", hello, h)
		if resp.StatusCode != want {
			t.Errorf("from %q: %d, want %d", origin, resp.StatusCode, want)
		}
		if allowed := resp.Header.Get("Access-Control-Allow-Origin"); want == 200 && allowed != origin {
			t.Errorf("from %q: allowed is %q", origin, allowed)
		}
	}
	resp, _ := s.ask("OPTIONS", "/v1/send", "", headers("Origin", "https://app.example.org"))
	if resp.StatusCode != 204 || !strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "Last-Event-ID") {
		t.Errorf("preflight: %d %v", resp.StatusCode, resp.Header)
	}
	for _, c := range [][2]string{{"GET", "/v1/hello"}, {"GET", "/v1/send"}, {"POST", "/v1/events"}} {
		if resp, _ := s.ask(c[0], c[1], "", nil); resp.StatusCode != 405 {
			t.Errorf("%v: %d", c, resp.StatusCode)
		}
	}
}
