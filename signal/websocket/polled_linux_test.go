package websocket

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"

	"icebox/signal"
	"icebox/signal/signaltest"
)

// serve starts an echo server on real sockets. way is one of kinds. dial connects a client and reads the greeting.
func serve(t *testing.T, way string) (dial func() *signaltest.Conn, hub *signal.Hub) {
	t.Helper()
	hub = signaltest.Hub(t, signal.Options{}, signal.DefaultLimits())
	s := echoService(hub)
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Serve(w, r, signal.Visitor{}, func() {})
	}))
	d := gorilla.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	switch way {
	case "upgrade listener":
		var err error
		always := func(*http.Request) bool { return true }
		if web.Listener, err = NewUpgradeListener(web.Listener, web.Config.Handler, always, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		web.Start()
	case "TLS":
		web.Listener = Listen(web.Listener)
		web.StartTLS()
	default:
		web.Listener = Listen(web.Listener)
		web.Start()
	}
	signaltest.CloseAtEnd(t, hub, web)
	return func() *signaltest.Conn {
		ws := signaltest.MustDial(t, &d, web.URL)
		ws.Want("welcome")
		return ws
	}, hub
}

// kinds are the ways in which connections come to the poller: through net/http, through a *tls.Conn, or from the upgrade
// listener.
var kinds = []string{"plain", "TLS", "upgrade listener"}

func forEachKind(t *testing.T, test func(t *testing.T, dial func() *signaltest.Conn)) {
	for _, way := range kinds {
		t.Run(way, func(t *testing.T) {
			dial, hub := serve(t, way)
			l := signal.DefaultLimits()
			l.MessagesPerSecond, l.MessageBurst = 1e6, 1e6
			if err := hub.SetLimits(l); err != nil {
				t.Fatal(err)
			}
			test(t, dial)
		})
	}
}

func TestPolledConnections(t *testing.T) {
	forEachKind(t, func(t *testing.T, dial func() *signaltest.Conn) {
		ws := dial()
		for _, size := range []int{0, 1, 125, 126, 4096, inlineReadMax - 1, inlineReadMax, 1<<16 - 1, 1 << 16, 256 << 10} {
			text := strings.Repeat("x", size)
			ws.Send(text)
			ws.Want(text)
		}
		pongs := 0
		ws.SetPongHandler(func(string) error { pongs++; return nil })
		w, err := ws.NextWriter(gorilla.TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		piece := strings.Repeat("y", 9000)
		for range 3 { // a ping follows each fragment
			_, _ = w.Write([]byte(piece))
			if err := ws.WriteControl(gorilla.PingMessage, []byte("hi"), time.Now().Add(signaltest.Patience)); err != nil {
				t.Fatal(err)
			}
		}
		_ = w.Close()
		ws.Want(strings.Repeat(piece, 3))
		if pongs != 3 {
			t.Errorf("%d pongs, want 3", pongs)
		}
		if err := ws.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(4000, "bye"), time.Now().Add(signaltest.Patience)); err != nil {
			t.Fatal(err)
		}
		ws.SkipToClose(4000)
	})
}

func TestPolledConnectionsEndAfterBadFrames(t *testing.T) {
	emptyFragments := bytes.Repeat([]byte{0x00, 0x80, 0, 0, 0, 0}, maxFragments)
	forEachKind(t, func(t *testing.T, dial func() *signaltest.Conn) {
		for name, c := range map[string]struct {
			frame []byte
			code  int
		}{
			"no mask":            {[]byte{0x81, 0}, gorilla.CloseProtocolError},
			"reserved bits":      {[]byte{0xC1, 0x80, 0, 0, 0, 0}, gorilla.CloseProtocolError},
			"unknown opcode":     {[]byte{0x83, 0x80, 0, 0, 0, 0}, gorilla.CloseProtocolError},
			"long ping":          {[]byte{0x89, 0xFE, 0, 126, 0, 0, 0, 0}, gorilla.CloseProtocolError},
			"fragmented ping":    {[]byte{0x09, 0x80, 0, 0, 0, 0}, gorilla.CloseProtocolError},
			"stray continuation": {[]byte{0x80, 0x80, 0, 0, 0, 0}, gorilla.CloseProtocolError},
			"nested message":     {[]byte{0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0}, gorilla.CloseProtocolError},
			"bad close code":     {[]byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xED}, gorilla.CloseProtocolError},
			"short close":        {[]byte{0x88, 0x81, 0, 0, 0, 0, 3}, gorilla.CloseProtocolError},
			"2 GiB":              {[]byte{0x81, 0xFF, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0}, gorilla.CloseProtocolError},
			"too many fragments": {append([]byte{0x01, 0x80, 0, 0, 0, 0}, emptyFragments...), gorilla.CloseProtocolError},
			"too large":          {[]byte{0x81, 0xFF, 0, 0, 0, 0, 0x7F, 0, 0, 0, 0, 0, 0, 0}, gorilla.CloseMessageTooBig},
			"not UTF-8":          {[]byte{0x81, 0x81, 0, 0, 0, 0, 0xFF}, gorilla.CloseInvalidFramePayloadData},
			"panic":              {[]byte("\x81\x85\x00\x00\x00\x00panic"), gorilla.CloseInternalServerErr},
		} {
			ws := dial()
			if _, err := ws.NetConn().Write(c.frame); err != nil {
				t.Fatal(err)
			}
			t.Log(name)
			ws.SkipToClose(c.code)
		}
		ws := dial()
		if err := ws.WriteMessage(gorilla.BinaryMessage, []byte("x")); err != nil {
			t.Fatal(err)
		}
		ws.Want("refused binary-frame")
	})
}

// A client stops reading until its socket buffers are full. A goroutine then waits to write the rest. Other clients are not
// delayed, and the client gets all messages when it reads again.
func TestPolledClientPausesReading(t *testing.T) {
	for _, way := range kinds {
		t.Run(way, func(t *testing.T) {
			l := signal.DefaultLimits()
			dial, hub := serve(t, way)
			l.MessagesPerSecond, l.MessageBurst, l.QueueBytes, l.QueueMessages, l.WaitingPerAddr = 1e6, 1e6, 64<<20, 1e6, 0
			if err := hub.SetLimits(l); err != nil {
				t.Fatal(err)
			}
			lazy, other := dial(), dial()
			const messages, size = 400, 32 << 10 // more bytes than the socket buffers hold
			pad := strings.Repeat(".", size)
			var writing sync.WaitGroup
			writing.Go(func() {
				for i := range messages {
					if err := lazy.WriteMessage(gorilla.TextMessage, fmt.Appendf(nil, "%d%s", i, pad)); err != nil {
						t.Error(err)
						return
					}
				}
			})
			for i := range 50 {
				other.Send(fmt.Sprint(i))
				other.Want(fmt.Sprint(i))
			}
			writing.Wait()
			for i := range messages {
				lazy.Want(fmt.Sprint(i) + pad)
			}
		})
	}
}

func TestPolledClientNeverReads(t *testing.T) {
	forEachKind(t, func(t *testing.T, dial func() *signaltest.Conn) {
		lazy := dial() // its queue is limited to 1 MiB
		_ = lazy.SetWriteDeadline(time.Now().Add(signaltest.Patience))
		text := bytes.Repeat([]byte("x"), 200<<10)
		for {
			if lazy.WriteMessage(gorilla.TextMessage, text) != nil {
				return // the server has closed the connection, because the queue was full
			}
		}
	})
}

func TestPolledConnectionIsReset(t *testing.T) {
	forEachKind(t, func(t *testing.T, dial func() *signaltest.Conn) {
		for range 20 {
			ws := dial()
			ws.Send("x")
			nc := ws.NetConn()
			if s, ok := nc.(*tls.Conn); ok {
				nc = s.NetConn()
			}
			_ = nc.(*net.TCPConn).SetLinger(0)
			_ = nc.Close()
		}
	})
}

// Many clients connect and leave at the same time. The poller's goroutine exits with the last one; otherwise goleak, which
// TestMain runs, reports it.
func TestManyPolledConnections(t *testing.T) {
	forEachKind(t, func(t *testing.T, dial func() *signaltest.Conn) {
		var crowd sync.WaitGroup
		for i := range 60 {
			ws := dial()
			crowd.Go(func() {
				for n := range 20 {
					text := fmt.Sprintf("%d of %d %s", n, i, strings.Repeat("z", n*300))
					if err := ws.WriteMessage(gorilla.TextMessage, []byte(text)); err != nil {
						t.Error(err)
						return
					}
					if _, got, err := ws.ReadMessage(); err != nil || string(got) != text {
						t.Errorf("got %.30q, %v, want %.30q", got, err, text)
						return
					}
				}
				_ = ws.Close()
			})
		}
		crowd.Wait()
	})
}
