package native_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"icebox/signal"
	"icebox/signal/native"
	"icebox/signal/native/wire"
)

// sse is an event stream that a test reads.
type sse struct {
	resp *http.Response
	r    *bufio.Reader
	id   string
}

func (s *server) stream(secret, last string) *sse {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	r, _ := http.NewRequestWithContext(ctx, "GET", s.url+native.EventsPath, nil)
	r.Header.Set("Authorization", "Bearer "+secret)
	r.Header.Set("Last-Event-ID", last)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = resp.Body.Close() })
	return &sse{resp: resp, r: bufio.NewReader(resp.Body)}
}

func (e *sse) next(t *testing.T) map[string]any {
	t.Helper()
	for {
		line, err := e.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			e.id = strings.TrimSpace(id)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var m map[string]any
			if err := json.Unmarshal([]byte(data), &m); err != nil {
				t.Fatalf("%q: %v", data, err)
			}
			return m
		}
	}
}

func (s *server) post(path, secret, body string) (int, map[string]any) {
	s.t.Helper()
	r, _ := http.NewRequest("POST", s.url+path, strings.NewReader(body))
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		s.t.Fatalf("%q: %v", text, err)
	}
	return resp.StatusCode, m
}

func TestEventStream(t *testing.T) {
	s := start(t)
	bo := s.dial("bo")
	status, welcome := s.post(native.HelloPath, "", `{"type":"hello","v":1,"name":"al"}`)
	if status != 200 || welcome["type"] != wire.Welcome || welcome["iceServers"] == nil {
		t.Fatalf("%d %v", status, welcome)
	}
	secret := welcome["resume"].(string)
	if err := bo.Send(wire.Request{Type: wire.Send, To: "al", Kind: "x", Data: json.RawMessage("{\n\"a\":\r\n1}")}); err != nil {
		t.Fatal(err)
	}
	events := s.stream(secret, "")
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream", "X-Accel-Buffering": "no", "Cache-Control": "no-store",
	} {
		if got := events.resp.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if m := events.next(t); m["type"] != wire.Resumed {
		t.Fatal(m)
	}
	if m := events.next(t); m["type"] != wire.Delivery || events.id != "1" {
		t.Fatal(m, events.id)
	}
	status, ack := s.post(native.SendPath, secret,
		`[{"type":"send","to":"bo","kind":"x","data":1,"seq":1},{"type":"send","to":"bo","kind":"x","data":2,"seq":2}, {"type":"fly","ref":7}]`)
	if status != 200 || ack["ack"] != 2.0 {
		t.Fatalf("%d %v", status, ack)
	}
	if m := events.next(t); m["code"] != signal.ErrUnknownType.Code || m["ref"] != 7.0 {
		t.Fatal(m)
	}
	if m, err := bo.Wait(within(t), wire.Delivery); err != nil || string(m.Data) != "1" {
		t.Fatal(m, err)
	}
	second := s.stream(secret, "1")
	if m := events.next(t); m["reason"] != "elsewhere" {
		t.Fatal(m)
	}
	second.next(t)
	if m := second.next(t); m["type"] != wire.Fail || second.id != "2" {
		t.Fatal(m)
	}
	_, _ = s.post(native.SendPath, secret, `{"type":"bye"}`)
	if m, err := bo.Wait(within(t), wire.Gone); err != nil || m.FromName != "al" {
		t.Fatal(m, err)
	}
}

func TestRefusedPosts(t *testing.T) {
	s := start(t)
	s.dial("bo")
	_, welcome := s.post(native.HelloPath, "", `{"type":"hello","v":1,"name":"al"}`)
	secret := welcome["resume"].(string)
	for name, c := range map[string]struct {
		path, secret, body string
		status             int
		code               string
	}{
		"a taken name":      {native.HelloPath, "", `{"type":"hello","v":1,"name":"bo"}`, 409, "name-taken"},
		"no hello":          {native.HelloPath, "", `{"type":"ping"}`, 400, "bad-message"},
		"another version":   {native.HelloPath, "", `{"type":"hello","v":2}`, 400, "version"},
		"no JSON":           {native.HelloPath, "", `hello`, 400, "bad-message"},
		"nobody's secret":   {native.SendPath, "AAAA", `{"type":"ping"}`, 401, "resync"},
		"no secret":         {native.SendPath, "", `{"type":"ping"}`, 401, "resync"},
		"half an array":     {native.SendPath, secret, `[{"type":"ping"}`, 400, "bad-message"},
		"not UTF-8":         {native.SendPath, secret, "\"\xff\"", 400, "bad-message"},
		"too much":          {native.SendPath, secret, strings.Repeat(" ", 300<<10), 413, "message-too-large"},
		"an unknown resume": {native.HelloPath, "", `{"type":"hello","v":1,"resume":"AAAA"}`, 401, "resync"},
		"a known resume":    {native.HelloPath, "", `{"type":"hello","v":1,"resume":"` + secret + `"}`, 200, ""},
	} {
		status, m := s.post(c.path, c.secret, c.body)
		if code, _ := m["code"].(string); status != c.status || code != c.code {
			t.Errorf("%s: %d %v", name, status, m)
		}
	}
	if resp := s.stream("AAAA", "").resp; resp.StatusCode != 401 {
		t.Errorf("nobody's stream: %s", resp.Status)
	}
}
