package websocket

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gorilla "github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"icebox/signal"
	"icebox/signal/broker"
	"icebox/signal/signaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echoHandler sends each message back to its client. It panics on the message "panic".
type echoHandler struct{ client *signal.Client }

func (e echoHandler) Open() { e.client.Send([]byte("welcome")) }
func (e echoHandler) HandleText(m []byte) func() {
	if string(m) == "panic" {
		panic("asked to")
	}
	e.client.Send(bytes.Clone(m))
	return nil
}
func (e echoHandler) SendError(err *signal.Error) { e.client.Send([]byte("refused " + err.Code)) }

func echoService(hub *signal.Hub) *Service {
	return &Service{
		Hub: hub, Logger: slog.New(slog.DiscardHandler),
		Profile:    signal.Profile{Protocol: "echo", Encode: func([]byte, broker.Message) []byte { return nil }},
		NewHandler: func(c *signal.Client) MessageHandler { return echoHandler{c} },
	}
}

// pipeListener is a listener of in-memory connections, so that tests can run in a synctest bubble, which has its own clock.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipeListener) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// runBubble starts an echo server in a synctest bubble and calls test there. dial connects a client and reads the greeting.
func runBubble(t *testing.T, test func(t *testing.T, dial func() *signaltest.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		hub := signaltest.Hub(t, signal.Options{}, signal.DefaultLimits())
		s := echoService(hub)
		p := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		var served atomic.Int32
		srv := &http.Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s.Serve(w, r, signal.Visitor{}, func() { served.Add(1) })
			}),
			ReadHeaderTimeout: time.Second,
		}
		go func() { _ = srv.Serve(p) }()
		dialed := 0
		test(t, func() *signaltest.Conn {
			near, far := net.Pipe()
			p.conns <- far
			d := gorilla.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return near, nil }}
			ws := signaltest.MustDial(t, &d, "ws://pipe/")
			ws.Patience = 0
			dialed++
			ws.Want("welcome")
			return ws
		})
		signaltest.ShutDown(t, hub) // ends clients that the test has stopped reading
		_ = srv.Close()
		synctest.Wait()
		if served := int(served.Load()); served != dialed {
			t.Errorf("done was called %d times for %d connections", served, dialed)
		}
	})
}

// timeToClose reads until the connection ends, checks the close code, and returns how long that took.
func timeToClose(ws *signaltest.Conn, code int) time.Duration {
	ws.TB.Helper()
	start := time.Now()
	ws.SkipToClose(code)
	return time.Since(start)
}

func TestMessageArrivesInFragments(t *testing.T) {
	runBubble(t, func(t *testing.T, dial func() *signaltest.Conn) {
		ws := dial()
		w, err := ws.NextWriter(gorilla.TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		piece := strings.Repeat("x", 9000)
		for range 10 {
			if _, err := w.Write([]byte(piece)); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Second)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		ws.Want(strings.Repeat(piece, 10))
	})
}

// The client sends empty fragments forever, and none is the final one.
func TestMessageMustBeCompleteIn30Seconds(t *testing.T) {
	runBubble(t, func(t *testing.T, dial func() *signaltest.Conn) {
		ws := dial()
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			frame := []byte{0x01, 0x80, 0, 0, 0, 0}
			for {
				if _, err := ws.NetConn().Write(frame); err != nil {
					return
				}
				frame[0] = 0x00
				<-time.After(100 * time.Millisecond)
			}
		}()
		if took := timeToClose(ws, gorilla.ClosePolicyViolation); took < 30*time.Second || took > 35*time.Second {
			t.Errorf("closed after %v, want 30s to 35s", took)
		}
		_ = ws.Close()
		<-stop
	})
}

func TestPingsCountAgainstTheRate(t *testing.T) {
	runBubble(t, func(t *testing.T, dial func() *signaltest.Conn) {
		ws := dial()
		const pings = 100 + 30*5
		pongs := 0
		ws.SetPongHandler(func(string) error { pongs++; return nil })
		go func() {
			for range pings {
				if ws.WriteControl(gorilla.PingMessage, []byte("x"), time.Now().Add(time.Minute)) != nil {
					return
				}
			}
			_ = ws.WriteMessage(gorilla.TextMessage, []byte("done"))
		}()
		start := time.Now()
		ws.Want("done")
		if took := time.Since(start); pongs != pings || took < 5*time.Second || took > 6*time.Second {
			t.Errorf("%d pongs in %v, want %d in 5s to 6s", pongs, took, pings)
		}
	})
}

func TestPanicEndsOnlyItsClient(t *testing.T) {
	runBubble(t, func(t *testing.T, dial func() *signaltest.Conn) {
		a, b := dial(), dial()
		a.Send("panic")
		a.SkipToClose(gorilla.CloseInternalServerErr)
		b.Send("still here")
		b.Want("still here")
	})
}

// A client that does not respond to a close frame is disconnected after a second.
func TestClientIgnoresTheCloseFrame(t *testing.T) {
	runBubble(t, func(t *testing.T, dial func() *signaltest.Conn) {
		ws := dial()
		ws.SetCloseHandler(func(int, string) error { return nil })
		ws.Send("\xff")
		ws.SkipToClose(gorilla.CloseInvalidFramePayloadData)
		start := time.Now()
		var b [1]byte
		if _, err := ws.NetConn().Read(b[:]); err == nil {
			t.Error("bytes arrived after the close frame")
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("disconnected after %v, want 1s", took)
		}
	})
}

func TestUnansweredPingEndsTheClient(t *testing.T) {
	runBubble(t, func(t *testing.T, dial func() *signaltest.Conn) {
		ws := dial()
		ws.SetPingHandler(func(string) error { return nil })
		if took := timeToClose(ws, gorilla.ClosePolicyViolation); took < 14*time.Second || took > 16*time.Second {
			t.Errorf("closed after %v, want 15s", took)
		}
		idle := dial()
		go func() {
			<-time.After(10 * time.Minute)
			_ = idle.WriteMessage(gorilla.TextMessage, []byte("hello"))
		}()
		idle.Want("hello") // reading answers pings
	})
}

func TestFailedUpgradeCallsDone(t *testing.T) {
	s := &Service{Hub: signaltest.Hub(t, signal.Options{}, signal.DefaultLimits())}
	done := 0
	w := httptest.NewRecorder()
	s.Serve(w, &http.Request{Method: "GET"}, signal.Visitor{}, func() { done++ })
	if done != 1 || w.Code != http.StatusBadRequest {
		t.Errorf("done was called %d times, the status is %d; want once, 400", done, w.Code)
	}
}
