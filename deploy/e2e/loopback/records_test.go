package loopback

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// recorder is one user of PocketBase's records API.
type recorder struct {
	t     *testing.T
	base  string
	web   *http.Client
	token string
}

// do sends one request with a JSON body. If v is not nil, it decodes the JSON response into v.
func (r *recorder) do(method, path, body string, want int, v any) {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Origin", r.base)
	if r.token != "" {
		q.Header.Set("Authorization", r.token)
	}
	reply, err := r.web.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode != want {
		r.t.Fatalf("%s %s: %s, want %d: %s %v", method, path, reply.Status, want, text, err)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(text, v); err != nil {
		r.t.Fatalf("%s %s: %q: %v", method, path, text, err)
	}
}

func (r *recorder) signIn(name string) {
	r.t.Helper()
	var in struct{ Token string }
	r.do("POST", "/api/collections/users/auth-with-password",
		fmt.Sprintf(`{"identity":"%[1]s@example.org","password":"password of %[1]s"}`, name), http.StatusOK, &in)
	r.token = in.Token
}

// events opens the event stream. It returns the stream's client ID and a function that returns the
// data of the next event with a given name.
func (r *recorder) events() (id string, next func(name string) string) {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.base+"/api/realtime", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("Origin", r.base)
	reply, err := r.web.Do(q)
	if err != nil || reply.StatusCode != http.StatusOK {
		r.t.Fatalf("open the event stream: %v %v", reply, err)
	}
	r.t.Cleanup(func() { reply.Body.Close() })
	lines := bufio.NewScanner(reply.Body)
	next = func(name string) string {
		r.t.Helper()
		event := ""
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ":")
			switch value = strings.TrimPrefix(value, " "); {
			case field == "event":
				event = value
			case field == "data" && event == name:
				return value
			}
		}
		r.t.Fatalf("the event stream ended before %s: %v", name, lines.Err())
		return ""
	}
	var hello struct{ ClientID string }
	if err := json.Unmarshal([]byte(next("PB_CONNECT")), &hello); err != nil {
		r.t.Fatal(err)
	}
	return hello.ClientID, next
}

// TestPocketBaseThroughNginx checks that a caller behind the shipped site is told of the answer as
// soon as it exists.
func TestPocketBaseThroughNginx(t *testing.T) {
	t.Parallel()
	host, web := behindNginx(t, "pocketbase", `
signal: {pocketbase: {users: [{identity: a@example.org, password: password of a}, {identity: b@example.org, password: password of b}]}}`)
	a, b := &recorder{t: t, base: "https://" + host, web: web}, &recorder{t: t, base: "https://" + host, web: web}
	a.signIn("a")
	b.signIn("b")
	client, next := a.events()
	var call struct{ ID string }
	a.do("POST", "/api/collections/calls/records", `{"user_id":"a"}`, http.StatusOK, &call)
	path := "/api/collections/calls/records/" + call.ID
	a.do("PATCH", path, `{"offer":{"type":"offer","sdp":"v=0"}}`, http.StatusOK, nil)
	a.do("POST", "/api/realtime", fmt.Sprintf(`{"clientId":%q,"subscriptions":["calls/%s"]}`, client, call.ID), http.StatusNoContent, nil)
	b.do("GET", path, "", http.StatusOK, nil)
	b.do("PATCH", path, `{"answer":{"type":"answer","sdp":"v=0"}}`, http.StatusOK, nil)
	for {
		var event struct {
			Action string
			Record struct{ Answer struct{ Type string } }
		}
		if err := json.Unmarshal([]byte(next("calls/"+call.ID)), &event); err != nil {
			t.Fatal(err)
		}
		if event.Action == "update" && event.Record.Answer.Type == "answer" {
			return
		}
	}
}
