package sse

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"icebox/signal"
	"icebox/signal/signaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs one stream. It calls read with the client's connection, and do with the stream in a goroutine of the server.
// It returns when the HTTP handler has returned.
func serve(t *testing.T, read func(net.Conn), do func(*Stream)) {
	t.Helper()
	done := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		s := New(w)
		s.Start()
		used := make(chan struct{})
		go func() { do(s); close(used) }()
		s.Wait(r.Context())
		s.Finish()
		<-used
	}))
	defer web.Close()
	conn, err := net.Dial("tcp", strings.TrimPrefix(web.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(signaltest.Patience))
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	read(conn)
	select {
	case <-done:
	case <-time.After(signaltest.Patience):
		t.Fatal("the HTTP handler has not returned")
	}
}

// soon returns a deadline that no working write misses.
func soon() time.Time { return time.Now().Add(signaltest.Patience) }

func TestWriteSendsEventsAndPingSendsComments(t *testing.T) {
	serve(t, func(c net.Conn) {
		text, _ := io.ReadAll(c)
		_, body, _ := strings.Cut(string(text), "\r\n\r\n")
		if body != "data:1\n\n: \n\n" || !strings.Contains(string(text), "X-Accel-Buffering: no") {
			t.Errorf("%q", text)
		}
	}, func(s *Stream) {
		if err := s.Write([]byte("data:1\n\n"), soon()); err != nil {
			t.Error(err)
		}
		if err := s.Ping(soon()); err != nil {
			t.Error(err)
		}
		s.Close(signal.Restarting)
		if err := s.Write([]byte("data:2\n\n"), soon()); err == nil {
			t.Error("Write succeeded on a stream that has ended")
		}
	})
}

func TestWriteFailsAtItsDeadlineIfTheClientDoesNotRead(t *testing.T) {
	failed := make(chan error, 1)
	serve(t, func(c net.Conn) {
		if err := <-failed; err == nil {
			t.Error("a write of 64 MiB succeeded, but the client does not read")
		}
	}, func(s *Stream) {
		failed <- s.Write(make([]byte, 64<<20), time.Now().Add(50*time.Millisecond))
		s.Close(signal.WriteFailed)
	})
}

func TestAbortUnblocksAWrite(t *testing.T) {
	failed := make(chan error, 1)
	serve(t, func(c net.Conn) {
		if err := <-failed; err == nil {
			t.Error("a write of 64 MiB succeeded, but the client does not read")
		}
	}, func(s *Stream) {
		go func() { failed <- s.Write(make([]byte, 64<<20), soon()) }()
		for s.writing.TryLock() { // until the write has begun
			s.writing.Unlock()
			runtime.Gosched()
		}
		s.Abort()
	})
}

// The write fails when the client has closed the connection. Finish and Abort may still be called, by another goroutine
// than the HTTP handler's; the race detector reports a use of the response after the handler has returned.
func TestClientClosesTheConnection(t *testing.T) {
	serve(t, func(c net.Conn) {
		if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
			t.Error(err)
		}
		c.Close()
	}, func(s *Stream) {
		for s.Write([]byte("data:1\n\n"), soon()) == nil {
			runtime.Gosched()
		}
		s.Finish()
		s.Abort()
	})
}

// A response without deadlines could block a write forever, so Write refuses it.
func TestWriteFailsIfTheResponseHasNoDeadlines(t *testing.T) {
	s := New(httptest.NewRecorder())
	s.Start()
	if err := s.Write([]byte("data:1\n\n"), soon()); err == nil {
		t.Error("Write succeeded without a deadline")
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	s.Wait(gone)
	s.Finish()
}
