package peerjs_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	gorilla "github.com/gorilla/websocket"

	"icebox/signal"
	"icebox/signal/signaltest"
)

const (
	offer     = `{"type":"OFFER","payload":{"sdp":{"type":"offer","sdp":"v=0\r\n"},"type":"data","connectionId":"dc_1"},"dst":"bob"}`
	candidate = `{"type":"CANDIDATE","payload":{"candidate":{"candidate":"candidate:1","sdpMid":"0"},"type":"data","connectionId":"dc_1"},"dst":"bob"}`
)

// fromAlice returns the message that bob receives when alice sends text to him.
func fromAlice(text string) string {
	payload := text[strings.Index(text, `"payload":`):strings.LastIndex(text, `,"dst"`)]
	kind := text[strings.Index(text, `:"`)+2 : strings.Index(text, `",`)]
	return `{"type":"` + kind + `","src":"alice","dst":"bob",` + payload + `}`
}

func TestOverHTTP(t *testing.T) {
	s := serve(t)
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	page := http.Header{"Origin": {s.url}}
	seen := make(map[string]bool)
	for _, path := range []string{"/peerjs/peerjs/id?ts=1&version=1.5.5", "/peerjs/id", "/peerjs/another.key/id"} {
		status, header, body := s.get(path, page)
		if status != 200 || !uuid.MatchString(body) || seen[body] || header.Get("Content-Type") != "text/html; charset=utf-8" ||
			header.Get("Access-Control-Allow-Origin") != s.url {
			t.Errorf("%s: %d %q %v", path, status, body, header)
		}
		seen[body] = true
	}
	if _, header, _ := s.get("/peerjs/id", http.Header{"Origin": {"https://evil.example"}}); header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a page of an origin that is not admitted may read an id")
	}
	for path, want := range map[string]int{
		"/peerjs": 200, "/peerjs/": 200, "/peerjs/peerjs/peers": 401, "/peerjs/peers": 401,
		"/peerjs/peerjs": 404, "/peerjs/peerjs/": 404, "/peerjs/a/b/id": 404, "/peerjs/peerjs/else": 404,
	} {
		if status, _, body := s.get(path, nil); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
	if resp, _ := signaltest.Request(t, "POST", s.url+"/peerjs/id", "", nil); resp.StatusCode != 405 {
		t.Errorf("POST: %d", resp.StatusCode)
	}
}

func TestDiscovery(t *testing.T) {
	s := serve(t, func(l *signal.Limits) { l.Discovery = true })
	s.open("peerjs", "bob", "t")
	al := s.open("peerjs", "al", "t")
	s.open("other", "eve", "t")
	for path, want := range map[string][]string{
		"/peerjs/peerjs/peers": {"al", "bob"}, "/peerjs/peers": {"al", "bob"}, "/peerjs/other/peers": {"eve"}, "/peerjs/none/peers": {},
	} {
		status, _, body := s.get(path, nil)
		ids := list(t, body)
		if slices.Sort(ids); status != 200 || !slices.Equal(ids, want) {
			t.Errorf("%s: %d %s, want %q", path, status, body, want)
		}
	}
	if status, _, _ := s.get("/peerjs/peers", http.Header{"Origin": {"https://evil.example"}}); status != 403 {
		t.Errorf("for a page of an origin that is not admitted: %d", status)
	}
	_ = al.Close()
	for _, _, body := s.get("/peerjs/peers", nil); slices.Contains(list(t, body), "al"); _, _, body = s.get("/peerjs/peers", nil) {
	}
	limits := signal.DefaultLimits()
	if err := s.gateway.SetLimits(limits); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := s.get("/peerjs/peers", nil); status != 401 {
		t.Errorf("after a reload: %d", status)
	}
}

// Payloads are forwarded byte for byte, between clients that were given the path /peerjs and clients that were not.
func TestMessagesPassByteForByte(t *testing.T) {
	s := serve(t)
	alice := s.open("peerjs", "alice", "a")
	bob, _ := s.dial("/peerjs", url.Values{"key": {"peerjs"}, "id": {"bob"}, "token": {"b"}}, nil)
	bob.Want(`{"type":"OPEN"}`)
	unusual := ` { "dst" : "b\u006fb" , "payload" : {"x" : [1.0, "\u00e9", {}]} , "type":"ANSWER", "src":"eve", "more":1 } `
	for _, text := range []string{candidate, offer, strings.Replace(offer, "OFFER", "ANSWER", 1)} {
		alice.Send(text)
		bob.Want(fromAlice(text))
	}
	alice.Send(unusual)
	bob.Want(`{"type":"ANSWER","src":"alice","dst":"b\u006fb","payload":{"x" : [1.0, "\u00e9", {}]}}`)
	bob.Send(`{"type":"ANSWER","payload":{},"dst":"alice"}`)
	alice.Want(`{"type":"ANSWER","src":"bob","dst":"alice","payload":{}}`)
	alice.Send(`{"type":"HEARTBEAT"}`)
	alice.still("alice")
	s.refused("bad-message", 0)
}

// A connection without a valid id, key and token is refused in PeerServer's wording, and ends.
func TestInvalidParameters(t *testing.T) {
	s := serve(t)
	const missing = `{"type":"ERROR","payload":{"msg":"No id, token, or key supplied to websocket server"}}`
	long := strings.Repeat("k", 65)
	for name, c := range map[string]struct {
		query url.Values
		want  string
	}{
		"none":         {url.Values{}, missing},
		"no id":        {url.Values{"key": {"k"}, "token": {"t"}}, missing},
		"no key":       {url.Values{"id": {"i"}, "token": {"t"}}, missing},
		"no token":     {url.Values{"id": {"i"}, "key": {"k"}}, missing},
		"a long key":   {url.Values{"id": {"i"}, "key": {long}, "token": {"t"}}, `{"type":"INVALID-KEY"}`},
		"a NUL in key": {url.Values{"id": {"i"}, "key": {"k\x00app"}, "token": {"t"}}, `{"type":"INVALID-KEY"}`},
		"a long id":    {url.Values{"id": {long + long}, "key": {"k"}, "token": {"t"}}, `{"type":"ERROR","payload":{"msg":"` + signal.ErrBadName.Message + `"}}`},
		"a NUL in id":  {url.Values{"id": {"a\x00b"}, "key": {"k"}, "token": {"t"}}, `{"type":"ERROR","payload":{"msg":"` + signal.ErrBadName.Message + `"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := s.dial("/peerjs/peerjs", c.query, nil)
			p.TB = t
			p.Want(c.want)
			p.WantClose(gorilla.ClosePolicyViolation)
		})
	}
	if _, status := s.dial("/peerjs/peerjs", url.Values{}, http.Header{"Origin": {"https://evil.example"}}); status != 403 {
		t.Errorf("from a page of an origin that is not admitted: %d", status)
	}
}

// A client that reconnects with its token takes over its id. Clients with other tokens get it only after the connection has
// ended.
func TestReconnect(t *testing.T) {
	s := serve(t)
	bob := s.open("peerjs", "bob", "b")
	first := s.open("peerjs", "alice", "the token")
	taken := s.connect("peerjs", "alice", "another")
	taken.Want(`{"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}`)
	taken.WantClose(gorilla.ClosePolicyViolation)

	second := s.open("peerjs", "alice", "the token")
	first.WantClose(gorilla.ClosePolicyViolation)
	bob.Send(`{"type":"ANSWER","payload":{"a":1},"dst":"alice"}`)
	second.Want(`{"type":"ANSWER","src":"bob","dst":"alice","payload":{"a":1}}`)
	second.Send(offer)
	bob.Want(fromAlice(offer))

	// Once the connection has ended, any client may have the id.
	_ = second.Close()
	for {
		p := s.connect("peerjs", "alice", "another")
		if frame, _ := p.Next(); string(frame) == `{"type":"OPEN"}` {
			break
		}
	}
	bob.still("bob") // bob was not sent LEAVE
}

// A connection that shows no sign of life loses its id to any client that asks for it.
func TestDeadHolder(t *testing.T) {
	s := serve(t)
	s.openWithoutReading("peerjs", "alice", "a")
	s.open("peerjs", "alice", "b")
	s.counted("icebox_signal_clients_ended_total", "reason", "superseded", 1)
}

func TestAccess(t *testing.T) {
	keys := []signal.Key{{Name: "web", Key: secretKey}, {Name: "app", Key: "another-key-of-app"}}
	byKey := func(l *signal.Limits) { l.Access, l.Keys = signal.ByKey, keys }
	byToken := func(l *signal.Limits) { l.Access, l.Tokens = signal.ByToken, names{"alice", "bob"} }
	const invalid = `{"type":"INVALID-KEY"}`
	for name, c := range map[string]struct {
		access         func(*signal.Limits)
		key, id, token string
		want           string
	}{
		"key in key":               {byKey, secretKey, "alice", "t", `{"type":"OPEN"}`},
		"key in token":             {byKey, "peerjs", "alice", secretKey, `{"type":"OPEN"}`},
		"no key":                   {byKey, "peerjs", "alice", "t", invalid},
		"JWT in key":               {byToken, "jwt of alice", "alice", "t", `{"type":"OPEN"}`},
		"JWT in token":             {byToken, "peerjs", "alice", "jwt of alice", `{"type":"OPEN"}`},
		"JWT for another id":       {byToken, "peerjs", "eve", "jwt of alice", `{"type":"ERROR","payload":{"msg":"Invalid token provided"}}`},
		"JWT for another's id":     {byToken, "jwt of bob", "alice", "t", `{"type":"ERROR","payload":{"msg":"Invalid token provided"}}`},
		"JWT of nobody":            {byToken, "jwt of eve", "eve", "t", invalid},
		"no JWT":                   {byToken, "peerjs", "alice", "t", invalid},
		"no JWT, and nothing else": {byToken, "", "", "", invalid},
	} {
		t.Run(name, func(t *testing.T) { serve(t, c.access).connect(c.key, c.id, c.token).Want(c.want) })
	}
	// A token that is an API key cannot take over an id, because many clients know it.
	s := serve(t, byKey)
	s.open("peerjs", "alice", secretKey)
	s.connect("peerjs", "alice", secretKey).Want(`{"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}`)
	// A client with another key is in another application.
	s.open("another-key-of-app", "alice", "t")
	if status, _, _ := s.get("/peerjs/peerjs/id", nil); status != 200 {
		t.Errorf("an id without a key: %d", status)
	}
}

// names verifies tokens such as "jwt of alice" for the names that it lists.
type names []string

func (n names) Verify(_ context.Context, token string) (signal.Grant, error) {
	name, ok := strings.CutPrefix(token, "jwt of ")
	if !ok || !slices.Contains(n, name) {
		return signal.Grant{}, signal.ErrTokenInvalid
	}
	return signal.Grant{Name: name}, nil
}
