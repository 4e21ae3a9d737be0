package loopback

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"icebox/deploy/e2e/classic"
	"icebox/deploy/e2e/server"
)

// session is a client of the native protocol that uses server-sent events.
type session struct {
	t    *testing.T
	base string
	web  *http.Client
	told struct{ ID, Resume string }
}

func (s *session) do(method, path, body string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.base+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Origin", s.base)
	r.Header.Set("Authorization", "Bearer "+s.told.Resume)
	reply, err := s.web.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { reply.Body.Close() })
	if reply.StatusCode != http.StatusOK {
		s.t.Fatalf("%s %s: %s", method, path, reply.Status)
	}
	return reply
}

// TestEventsThroughNginx sends messages through a proxy that buffers, as Debian's Nginx does by
// default. Each message must arrive before the next is sent.
func TestEventsThroughNginx(t *testing.T) {
	t.Parallel()
	b := startBox(t, server.FreePorts(t), server.FreePort(t), "")
	https := fmt.Sprintf("127.0.0.1:%d", server.FreePort(t))
	server.StartNginx(t, server.NginxOptions{
		Name: "localhost", Files: files, Backend: fmt.Sprintf("127.0.0.1:%d", b.WS), HTTPS: https,
		HTTP: fmt.Sprintf("127.0.0.1:%d", server.FreePort(t)), Buffered: true,
	})
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			s := &session{t: t, base: "https://" + https, web: &http.Client{
				Transport: &http.Transport{TLSClientConfig: trusting(t), ForceAttemptHTTP2: http2},
			}}
			ctx, cancel := context.WithTimeout(t.Context(), classic.Within)
			defer cancel()
			stop := context.AfterFunc(ctx, s.web.CloseIdleConnections)
			defer stop()
			hello := s.do(http.MethodPost, "/v1/hello", `{"type":"hello","v":1}`)
			if err := json.NewDecoder(hello.Body).Decode(&s.told); err != nil {
				t.Fatal(err)
			}
			stream := s.do(http.MethodGet, "/v1/events", "")
			events := bufio.NewReader(stream.Body)
			hung := context.AfterFunc(ctx, func() { stream.Body.Close() })
			defer hung()
			next := func(want string) {
				t.Helper()
				for {
					line, err := events.ReadString('\n')
					if err != nil {
						t.Fatalf("want %s: %v", want, err)
					}
					if strings.HasPrefix(line, "data: ") {
						if !strings.Contains(line, want) {
							t.Fatalf("got %s, want %s", line, want)
						}
						return
					}
				}
			}
			next(`"type":"resumed"`)
			for i := range 5 {
				s.do(http.MethodPost, "/v1/send", fmt.Sprintf(`{"type":"send","toId":%q,"kind":"x","data":%d}`, s.told.ID, i))
				next(fmt.Sprintf(`"data":%d`, i))
			}
			if stream.ProtoMajor == 2 != http2 {
				t.Errorf("the stream's protocol is %s", stream.Proto)
			}
		})
	}
}
