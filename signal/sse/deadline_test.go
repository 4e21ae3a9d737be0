package sse

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// The deadline of a write must not end the stream after the write has succeeded. HTTP/2 would reset the stream if Write did
// not clear the deadline.
func TestStreamOutlivesTheDeadlineOfAWrite(t *testing.T) {
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
					t.Error("the stream ended at the deadline of the first write")
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
			const want = "data: 1\n\ndata: 2\n\n"
			if got, err := io.ReadAll(reply.Body); err != nil || string(got) != want || (reply.ProtoMajor == 2) != http2 {
				t.Errorf("%s: the body is %q, error %v", reply.Proto, got, err)
			}
		})
	}
}
