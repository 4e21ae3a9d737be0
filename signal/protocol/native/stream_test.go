package native_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"

	"icebox/signal"
	"icebox/signal/protocol/native"
	"icebox/signal/protocol/native/wire"
	"icebox/signal/signaltest"
)

// sse is the client's end of an event stream.
type sse struct {
	resp *http.Response
	r    *bufio.Reader
	id   string // of the latest event that has one
}

// stream opens the event stream of the session with this secret. last is the value of Last-Event-ID.
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

// next returns the next message.
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

// post sends a POST and returns the status and the message in the response.
func (s *server) post(path, secret, body string) (int, map[string]any) {
	s.t.Helper()
	h := make(http.Header)
	if secret != "" {
		h.Set("Authorization", "Bearer "+secret)
	}
	resp, text := signaltest.Request(s.t, "POST", s.url+path, body, h)
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		s.t.Fatalf("%q: %v", text, err)
	}
	return resp.StatusCode, m
}

// A session over event stream and POSTs: it begins, receives and sends messages, and moves to a second stream.
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
	if m, err := bo.Wait(signaltest.Within(t), wire.Delivery); err != nil || string(m.Data) != "1" {
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
	if m, err := bo.Wait(signaltest.Within(t), wire.Gone); err != nil || m.FromName != "al" {
		t.Fatal(m, err)
	}
}

// The server responds to invalid POSTs with the right status and error code. One valid request shows that the others are
// not refused for a common reason.
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
		"a name that is taken":            {native.HelloPath, "", `{"type":"hello","v":1,"name":"bo"}`, 409, "name-taken"},
		"a ping in place of hello":        {native.HelloPath, "", `{"type":"ping"}`, 400, "bad-message"},
		"another version":                 {native.HelloPath, "", `{"type":"hello","v":2}`, 400, "version"},
		"text that is not JSON":           {native.HelloPath, "", `hello`, 400, "bad-message"},
		"an unknown secret":               {native.SendPath, "AAAA", `{"type":"ping"}`, 401, "resync"},
		"no secret":                       {native.SendPath, "", `{"type":"ping"}`, 401, "resync"},
		"an unfinished array":             {native.SendPath, secret, `[{"type":"ping"}`, 400, "bad-message"},
		"not UTF-8":                       {native.SendPath, secret, "\"\xff\"", 400, "bad-message"},
		"too many messages":               {native.SendPath, secret, "[" + strings.Repeat("1,", 256) + "1]", 400, "bad-message"},
		"a body that is too large":        {native.SendPath, secret, strings.Repeat(" ", 300<<10), 413, "message-too-large"},
		"a resume with an unknown secret": {native.HelloPath, "", `{"type":"hello","v":1,"resume":"AAAA"}`, 401, "resync"},
		"a resume with a valid secret":    {native.HelloPath, "", `{"type":"hello","v":1,"resume":"` + secret + `"}`, 200, ""},
	} {
		status, m := s.post(c.path, c.secret, c.body)
		if code, _ := m["code"].(string); status != c.status || code != c.code {
			t.Errorf("%s: %d %v", name, status, m)
		}
	}
	if resp := s.stream("AAAA", "").resp; resp.StatusCode != 401 {
		t.Errorf("a stream with an unknown secret: status %s, want 401", resp.Status)
	}
}

// The server refuses the fifth concurrent POST of a session, because each may hold a whole message in memory.
func TestConcurrentPostsOfOneSessionAreLimited(t *testing.T) {
	s := start(t)
	_, welcome := s.post(native.HelloPath, "", `{"type":"hello","v":1}`)
	secret := welcome["resume"].(string)
	const posts = 5
	var bodies []*io.PipeWriter
	answers := make(chan int, posts)
	for range posts {
		r, w := io.Pipe()
		bodies = append(bodies, w)
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+native.SendPath, r)
		request.Header.Set("Authorization", "Bearer "+secret)
		go func() {
			resp, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Error(err)
				answers <- 0
				return
			}
			_ = resp.Body.Close()
			answers <- resp.StatusCode
		}()
	}
	if status := <-answers; status != http.StatusTooManyRequests { // none of the bodies has ended
		t.Fatalf("the status of the first response is %d, want 429", status)
	}
	for _, w := range bodies {
		go func() {
			_, _ = w.Write([]byte(`{"type":"ping"}`)) // fails for the refused POST, whose body the server does not read
			_ = w.Close()
		}()
	}
	for range posts - 1 {
		if status := <-answers; status != http.StatusOK {
			t.Errorf("the status of one of the other four responses is %d, want 200", status)
		}
	}
	if status, m := s.post(native.SendPath, secret, `{"type":"ping"}`); status != http.StatusOK {
		t.Errorf("a POST after the others have ended: %d %v, want 200", status, m)
	}
}

// Before a WebSocket has signed in, pings count against its rate limit: 10 of them, with a burst of 5 and 10 per second,
// delay the welcome by at least 500 ms.
func TestPingsBeforeTheHelloAreCounted(t *testing.T) {
	s := start(t, func(o *setup) { o.limits.MessageBurst, o.limits.MessagesPerSecond = 5, 10 })
	al := s.raw("/ws")
	pongs := make(chan struct{}, 100)
	al.SetPongHandler(func(string) error { pongs <- struct{}{}; return nil })
	began := time.Now()
	for range 10 {
		if err := al.WriteControl(gorilla.PingMessage, nil, began.Add(signaltest.Patience)); err != nil {
			t.Fatal(err)
		}
	}
	al.Send(`{"type":"hello","v":1}`)
	al.receive()
	if took := time.Since(began); len(pongs) != 10 || took < 500*time.Millisecond {
		t.Errorf("got %d pongs and a welcome after %v, want 10 pongs and at least 500 ms", len(pongs), took)
	}
}
