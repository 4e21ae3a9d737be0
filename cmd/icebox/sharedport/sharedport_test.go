package sharedport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"icebox/cmd/icebox/certs"
	"icebox/cmd/icebox/preaccept"
	"icebox/cmd/icebox/statedir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// testPort is a shared port. Its web server responds with the protocol of the request and whether it came over TLS. Its TURN
// server sends "turn" and the first four bytes that it received.
type testPort struct {
	t     *testing.T
	addr  string
	count *prometheus.CounterVec
}

func share(t *testing.T) *testPort {
	t.Helper()
	dir, err := statedir.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	source, err := certs.SelfSigned(dir, []string{"127.0.0.1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &testPort{t, raw.Addr().String(), NewCounter(prometheus.NewRegistry())}
	l := Share(raw, Options{TLS: source.Config(Protocols()...), TURN: echo, Log: slog.New(slog.DiscardHandler), Connections: s.count})
	server := &http.Server{Handler: http.HandlerFunc(serveWeb), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() { s.close(l, server, served) })
	return s
}

func (s *testPort) close(l *preaccept.Listener, server *http.Server, served chan error) {
	_ = server.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		s.t.Errorf("served: %v", err)
	}
	l.Wait()
}

func echo(c net.Conn) {
	defer func() { _ = c.Close() }()
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err == nil {
		_, _ = fmt.Fprintf(c, "turn %x", head)
	}
}

func serveWeb(w http.ResponseWriter, r *http.Request) {
	if gorilla.IsWebSocketUpgrade(r) {
		if c, err := new(gorilla.Upgrader).Upgrade(w, r, nil); err == nil {
			_ = c.WriteMessage(gorilla.TextMessage, []byte("websocket"))
			_ = c.Close()
		}
		return
	}
	_, _ = fmt.Fprintf(w, "%s %t", r.Proto, r.TLS != nil)
}

// exchange sends text over TLS and returns everything that the server sends.
func (s *testPort) exchange(text string, protocols ...string) string {
	s.t.Helper()
	c, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
	if err != nil {
		return err.Error()
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte(text)); err != nil {
		return err.Error()
	}
	got, _ := io.ReadAll(c)
	return string(got)
}

// awaitCounts waits until the metric has the counts. A client may see that its connection was refused before that is counted.
func (s *testPort) awaitCounts(counts map[kind]float64) {
	s.t.Helper()
	again, late := time.Tick(time.Millisecond), time.After(patience)
	for k, want := range counts {
		for got := s.counted(k); got != want; got = s.counted(k) {
			select {
			case <-again:
			case <-late:
				s.t.Fatalf("%s: %v connections, want %v", k, got, want)
			}
		}
	}
}

func (s *testPort) counted(k kind) float64 {
	return testutil.ToFloat64(s.count.WithLabelValues(string(k)))
}

func TestIdentify(t *testing.T) {
	const (
		get     = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
		binding = "\x00\x01\x00\x00\x21\x12\xa4\x42123456789012"
	)
	s := share(t)
	for name, test := range map[string]struct {
		text      string
		protocols []string
		want      string
	}{
		"HTTP by its protocol":   {get, []string{"http/1.1"}, "HTTP/1.1 true"},
		"HTTP by its first byte": {get, nil, "HTTP/1.1 true"},
		"TURN by its protocol":   {binding, []string{"stun.turn"}, "turn 00010000"},
		"STUN by its protocol":   {binding, []string{"stun.nat-discovery"}, "turn 00010000"},
		"TURN by its first byte": {binding, nil, "turn 00010000"},
		"neither":                {"\x80\x00\x00\x00", nil, ""},
		"an unknown protocol":    {get, []string{"spdy/3"}, "remote error: tls: no application protocol"},
		"several, one is ours":   {binding, []string{"spdy/3", "stun.turn"}, "turn 00010000"},
		"closed without a byte":  {"", nil, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "closed without a byte" {
				c, err := tls.Dial("tcp", s.addr, &tls.Config{InsecureSkipVerify: true})
				if err != nil {
					t.Fatal(err)
				}
				_ = c.CloseWrite()
				_ = c.SetDeadline(time.Now().Add(patience))
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
					t.Errorf("got %v", err)
				}
				_ = c.Close()
				return
			}
			if got := s.exchange(test.text, test.protocols...); !strings.HasSuffix(got, test.want) || test.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	s.awaitCounts(map[kind]float64{web: 2, turn: 4, unknown: 1, silent: 1, refused: 1})
}

// TestWebProtocols: HTTP/2 and WebSockets work. The client offers the protocol that it needs, as browsers do.
func TestWebProtocols(t *testing.T) {
	s := share(t)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	r, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + s.addr)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(r.Body)
	_ = r.Body.Close()
	transport.CloseIdleConnections()
	if string(body) != "HTTP/2.0 true" {
		t.Errorf("got %q", body)
	}
	for _, protocols := range [][]string{nil, {"http/1.1"}} {
		d := gorilla.Dialer{HandshakeTimeout: patience, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}}
		c, _, err := d.Dial("wss://"+s.addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, text, err := c.ReadMessage(); err != nil || string(text) != "websocket" {
			t.Errorf("got %q, %v", text, err)
		}
		_ = c.Close()
	}
}

// TestStrangers: a connection without TLS is closed, and a client that sends nothing delays no other.
func TestStrangers(t *testing.T) {
	s := share(t)
	mute, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mute.Close() }()
	plain, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	_ = plain.SetDeadline(time.Now().Add(patience))
	_, _ = plain.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	if line, err := bufio.NewReader(plain).ReadString('\n'); err == nil {
		t.Errorf("plain HTTP got %q", line)
	}
	if got := s.exchange("\x00\x01\x00\x00"); got != "turn 00010000" {
		t.Errorf("got %q", got)
	}
	s.awaitCounts(map[kind]float64{turn: 1, refused: 1})
}
