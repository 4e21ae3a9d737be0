package websocket

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"

	"icebox/signal/signaltest"
)

const handshakeText = "GET /ws HTTP/1.1\r\nHost: icebox.test:8080\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"

// serveUpgrades starts a server behind an upgrade listener. inline counts the handshakes that the upgrade listener served.
// passed gets a value for each connection that the http.Server accepted.
func serveUpgrades(t *testing.T) (web *httptest.Server, inline *atomic.Int32, passed chan struct{}) {
	t.Helper()
	inline, passed = new(atomic.Int32), make(chan struct{}, 100)
	var upgrade gorilla.Upgrader
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(*handshakeResponse); ok {
			inline.Add(1)
		}
		switch {
		case r.URL.Path == "/panic":
			panic("asked to")
		case r.URL.Path == "/no" || !gorilla.IsWebSocketUpgrade(r):
			w.Header().Set("X-Said", "no")
			http.Error(w, "not you, "+r.Host+" "+r.Header.Get("X-Forwarded-For"), http.StatusForbidden)
			return
		}
		ws, err := upgrade.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		if w, ok := ws.NetConn().(*rawConn); ok { // the test does not use the connection after the upgrade
			w.releaseFromPoller(func() {})
			return
		}
		_ = ws.Close()
	})
	web = httptest.NewUnstartedServer(h)
	web.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	var err error
	servesInline := func(r *http.Request) bool { return r.URL.Path != "/wait" }
	web.Listener, err = NewUpgradeListener(web.Listener, h, servesInline, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	web.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			passed <- struct{}{}
		}
	}
	web.Start()
	t.Cleanup(web.Close)
	return web, inline, passed
}

func TestUpgradeListenerServesPlainHandshakesOnly(t *testing.T) {
	web, inline, passed := serveUpgrades(t)
	edit := func(old, new string) []string { return []string{strings.Replace(handshakeText, old, new, 1)} }
	for name, c := range map[string]struct {
		segments []string
		status   int
		body     string
		inline   int32
	}{
		"handshake":                 {[]string{handshakeText}, 101, "", 1},
		"refused":                   {edit("/ws", "/no"), 403, "not you, icebox.test:8080 192.0.2.1\n", 1},
		"bad version":               {edit("Version: 13", "Version: 12"), 400, "Bad Request\n", 1},
		"panic":                     {edit("/ws", "/panic"), 0, "", 1},
		"handler may block":         {edit("/ws", "/wait"), 101, "", 0},
		"page":                      {[]string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n"}, 403, "not you, a \n", 0},
		"in two segments":           {[]string{handshakeText[:50], handshakeText[50:]}, 101, "", 0},
		"with a body":               {edit("\r\n\r\n", "\r\nContent-Length: 1\r\n\r\nx"), 0, "", 0},
		"two hosts":                 {edit("\r\n\r\n", "\r\nhOST: b\r\n\r\n"), 400, "400 Bad Request", 0},
		"no host":                   {edit("Host:", "Most:"), 400, "400 Bad Request: missing required Host header", 0},
		"control characters":        {edit("192.0.2.1", "192.0.2.1\x01"), 400, "400 Bad Request", 0},
		"HTTP/1.0":                  {edit("1.1", "1.0"), 101, "", 0},
		"not HTTP":                  {[]string{"\x16\x03\x01\x02\x00\x01\r\n\r\n"}, 400, "400 Bad Request", 0},
		"frame after the handshake": {[]string{handshakeText + "\x81\x80\x00\x00\x00\x00"}, 0, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			inline.Store(0)
			for len(passed) > 0 {
				<-passed
			}
			conn, err := net.Dial("tcp", web.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(signaltest.Patience))
			for i, s := range c.segments {
				if _, err := io.WriteString(conn, s); err != nil {
					t.Fatal(err)
				}
				if i < len(c.segments)-1 {
					<-passed // the server waits for the rest
				}
			}
			r, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if c.status == 0 {
				if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
					t.Errorf("the response is %v, %v; want the connection closed", r, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = r.Body.Close() }()
			body := ""
			if r.StatusCode != http.StatusSwitchingProtocols {
				b, err := io.ReadAll(r.Body)
				if err != nil {
					t.Fatal(err)
				}
				body = string(b)
			}
			if r.StatusCode != c.status || c.body != "" && body != c.body || inline.Load() != c.inline {
				t.Errorf("status %d, body %q, %d served inline; want %d, %q, %d",
					r.StatusCode, body, inline.Load(), c.status, c.body, c.inline)
			}
		})
	}
}

// The listener is closed while it has silent connections, and while others send requests. Close returns, the connections are
// closed, and no goroutine is left.
func TestCloseUpgradeListener(t *testing.T) {
	web, _, _ := serveUpgrades(t)
	var silent []net.Conn
	for range 20 {
		conn, err := net.Dial("tcp", web.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		silent = append(silent, conn)
	}
	var crowd sync.WaitGroup
	for i := range 20 {
		crowd.Go(func() {
			conn, err := net.Dial("tcp", web.Listener.Addr().String())
			if err != nil {
				return // the listener was closed first
			}
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(signaltest.Patience))
			_, _ = fmt.Fprintf(conn, "GET /%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", i)
			_, _ = io.Copy(io.Discard, conn)
		})
	}
	if err := web.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := web.Listener.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the second Close returns %v, want net.ErrClosed", err)
	}
	for _, conn := range silent {
		_ = conn.SetReadDeadline(time.Now().Add(signaltest.Patience))
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("reading a silent connection returns %v, want the end", err)
		}
	}
	crowd.Wait()
}

// After accept has failed, the kernel reports no event for the connections that are waiting. retryAccept accepts them.
func TestAcceptIsRetried(t *testing.T) {
	web, inline, _ := serveUpgrades(t)
	l := web.Listener.(*upgradeListener)
	l.acceptMu.Lock()
	conn, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	l.acceptMu.Unlock()
	l.retryAccept()
	_ = conn.SetDeadline(time.Now().Add(signaltest.Patience))
	_, _ = io.WriteString(conn, handshakeText)
	if r, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || r.StatusCode != 101 || inline.Load() != 1 {
		t.Errorf("response %v, error %v, %d served inline", r, err, inline.Load())
	}
}

// FuzzHandshake checks that net/http parses everything that parseHandshake accepts in the same way, and that no bytes follow.
func FuzzHandshake(f *testing.F) {
	f.Add([]byte(handshakeText))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.Add([]byte(strings.Replace(handshakeText, "\r\n\r\n", "\r\nho(st: b\r\n\r\n", 1)))
	from := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
	f.Fuzz(func(t *testing.T, head []byte) {
		r, ok := parseHandshake(head, from)
		if !ok {
			return
		}
		reader := bufio.NewReader(strings.NewReader(string(head)))
		same, err := http.ReadRequest(reader)
		if err != nil || same.URL.String() != r.URL.String() || same.Host != r.Host || reader.Buffered() > 0 ||
			r.Method != http.MethodGet {
			t.Errorf("parseHandshake accepts %q; net/http returns %v, %v", head, same, err)
		}
	})
}
