package gateway

import (
	"net/http"
	"net/mail"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const twilioPath = "/2010-04-01/Accounts/AC0123/Tokens.json"

func TestTwilio(t *testing.T) {
	s := serve(t, public, withKeys)
	h := headers("Authorization", "Basic "+basic("AC0123", secretKey), "Content-Type", "application/x-www-form-urlencoded")
	resp, got := s.ask("POST", twilioPath, "Ttl=600", h)
	if resp.StatusCode != http.StatusCreated || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v %v", resp.StatusCode, resp.Header, got)
	}
	for name, want := range map[string]any{"ttl": "600", "account_sid": "AC0123", "username": "1700003600:web", "password": "pw="} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	for _, name := range []string{"date_created", "date_updated"} {
		date, err := mail.ParseDate(got[name].(string)) // RFC 2822
		if age := time.Since(date); err != nil || age < 0 || age > time.Minute {
			t.Errorf("%s is %v: %v", name, got[name], err)
		}
	}
	servers := got["ice_servers"].([]any)
	want := []any{
		map[string]any{"url": "stun:t:3478", "urls": "stun:t:3478"},
		map[string]any{"url": "turn:t:3478?transport=udp", "urls": "turn:t:3478?transport=udp", "username": "1700003600:web", "credential": "pw="},
	}
	if diff := cmp.Diff(want, servers[:2]); diff != "" || len(servers) != 3 {
		t.Errorf("%d servers, %s", len(servers), diff)
	}
}

func TestTwilioRefusals(t *testing.T) {
	s := serve(t, public, withKeys)
	form := func(password string) http.Header {
		return headers("Authorization", "Basic "+basic("AC0123", password), "Content-Type", "application/x-www-form-urlencoded")
	}
	for name, c := range map[string]struct {
		method, body string
		header       http.Header
		status, code int
	}{
		"no password":      {"POST", "", nil, 401, 20003},
		"a wrong password": {"POST", "", form("wrong"), 401, 20003},
		"a bad ttl":        {"POST", "Ttl=soon", form(secretKey), 400, 20001},
		"a bad method":     {"DELETE", "", form(secretKey), 405, 20004},
	} {
		s.t = t
		resp, got := s.ask(c.method, twilioPath, c.body, c.header)
		if resp.StatusCode != c.status || got["status"] != float64(c.status) || got["code"] != float64(c.code) || got["message"] == "" || got["more_info"] == "" {
			t.Errorf("%s: %d %v", name, resp.StatusCode, got)
		}
	}
}

func TestCloudflare(t *testing.T) {
	s := serve(t, public, withKeys)
	h := headers("Authorization", "Bearer "+secretKey, "Content-Type", "application/json")
	stun := map[string]any{"urls": []any{"stun:t:3478"}}
	turn := map[string]any{
		"urls": []any{"turn:t:3478?transport=udp", "turns:t:5349?transport=tcp"}, "username": "1700003600:web/al", "credential": "pw=",
	}
	all := map[string]any{
		"urls":     []any{"stun:t:3478", "turn:t:3478?transport=udp", "turns:t:5349?transport=tcp"},
		"username": "1700003600:web/al", "credential": "pw=",
	}
	for op, want := range map[string]any{"generate-ice-servers": []any{stun, turn}, "generate": all} {
		path := "/v1/turn/keys/0123abcd/credentials/" + op
		resp, got := s.ask("POST", path, `{"ttl": 600, "customIdentifier": "al"}`, h)
		if diff := cmp.Diff(want, got["iceServers"]); resp.StatusCode != http.StatusCreated || diff != "" {
			t.Errorf("%s: %d %s", op, resp.StatusCode, diff)
		}
		if resp, _ := s.ask("POST", path, `{"ttl": 600}`, headers("Authorization", "Bearer wrong", "Content-Type", "application/json")); resp.StatusCode != 401 {
			t.Errorf("%s with a wrong token: %d", op, resp.StatusCode)
		}
		if resp, _ := s.ask("POST", path, `{"ttl": -1}`, h); resp.StatusCode != 400 {
			t.Errorf("%s with a negative ttl: %d", op, resp.StatusCode)
		}
	}
}

// Requests for paths that only resemble these go to the pages.
func TestSimilarPathsArePages(t *testing.T) {
	s := serve(t, public, withKeys)
	for _, path := range []string{
		"/2010-04-01/Accounts/AC0123/Messages.json", "/2010-04-01/Accounts/Tokens.json", "/2010-04-01/Accounts/a/b/Tokens.json",
		"/v1/turn/keys/0123/credentials", "/v1/turn/keys/0123/credentials/revoke", "/v1/turn/keys/generate",
	} {
		if d, _ := matchICE(&http.Request{URL: must(t, path)}); d != nil {
			t.Errorf("%s asks for ICE servers", path)
		}
	}
	if resp, _ := s.ask("GET", twilioPath, "", headers("Sec-Fetch-Site", "same-origin")); resp.StatusCode != 201 {
		t.Errorf("a page of this host: %d", resp.StatusCode)
	}
}

func must(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
