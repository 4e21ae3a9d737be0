package sse

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A stream lives on when the deadline of a write that went well has passed. HTTP/2 would end it.
func TestStreamOutlivesItsDeadlines(t *testing.T) {
	t.Parallel()
	const deadline = time.Second
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := New(w)
				defer s.Finish()
				s.Start()
				if err := s.Write([]byte("data: 1\n\n"), time.Now().Add(deadline)); err != nil {
					t.Error(err)
				}
				later := time.NewTimer(deadline * 3 / 2)
				defer later.Stop()
				select {
				case <-r.Context().Done():
					t.Error("the stream was cut")
				case <-later.C:
				}
				if err := s.Write([]byte("data: 2\n\n"), time.Now().Add(10*deadline)); err != nil {
					t.Error(err)
				}
			}))
			server.EnableHTTP2 = http2
			server.StartTLS()
			defer server.Close()
			reply, err := server.Client().Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer reply.Body.Close()
			if got, err := io.ReadAll(reply.Body); err != nil || string(got) != "data: 1\n\ndata: 2\n\n" || (reply.ProtoMajor == 2) != http2 {
				t.Errorf("%s: %q, %v", reply.Proto, got, err)
			}
		})
	}
}
