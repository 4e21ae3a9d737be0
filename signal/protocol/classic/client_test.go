package classic

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"icebox/signal"
	"icebox/signal/signaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for an event before it fails.
const patience = 10 * time.Second

type server struct {
	t      *testing.T
	hub    *signal.Hub
	url    string
	dialer *gorilla.Dialer
}

// testICE is an ICE provider whose results depend only on the request.
func testICE(_ context.Context, r signal.ICERequest) (signal.ICEServers, error) {
	return signal.ICEServers{
		STUN: []string{"stun:" + r.Host + ":3478"}, TURN: []string{"turn:" + r.Host + ":3478?transport=udp"},
		Username: "9999999999:" + r.User, Password: "pw", TTL: time.Hour, Expires: time.Unix(9999999999, 0),
	}, nil
}

type change = func(*signal.Options, *signal.Limits)

func start(t *testing.T, o Options, changes ...change) *server {
	t.Helper()
	return startWith(t, testICE, o, (*httptest.Server).Start, changes...)
}

func startTLS(t *testing.T, o Options, changes ...change) *server {
	t.Helper()
	return startWith(t, testICE, o, (*httptest.Server).StartTLS, changes...)
}

func startWith(t *testing.T, ice signal.ICEProvider, o Options, run func(*httptest.Server), changes ...change) *server {
	t.Helper()
	so, limits := signal.Options{}, signal.DefaultLimits()
	for _, f := range changes {
		f(&so, &limits)
	}
	hub, err := signal.New(so, limits)
	if err != nil {
		t.Fatal(err)
	}
	h := New(hub, ice, slog.New(slog.DiscardHandler), o)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.Serve(w, r, signaltest.Access{Visitor: signal.Visitor{Addr: netip.MustParseAddr("127.0.0.1"), Host: "ice.example"}})
	}))
	run(srv)
	signaltest.CloseAtEnd(t, hub, srv)
	s := &server{t: t, hub: hub, url: "ws" + strings.TrimPrefix(srv.URL, "http"), dialer: new(gorilla.Dialer)}
	if srv.TLS != nil {
		s.dialer.TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig
		s.dialer.TLSClientConfig.NextProtos = nil
	}
	return s
}

// message holds the members of all messages that a client may receive.
type message struct {
	Type       string
	Success    *bool
	Name       string
	Code       string
	Message    string
	Offer      json.RawMessage
	Answer     json.RawMessage
	Candidate  json.RawMessage
	ICEServers []signal.RTCIceServer
	ICEError   *problem
	Expires    int64
	Token      string
}

// peer is a client that reads in the background, as browsers do, so that pings are answered.
type peer struct {
	t     *testing.T
	ws    *gorilla.Conn
	inbox chan []byte
	ended chan error
}

func (s *server) dial() *peer {
	s.t.Helper()
	ws, _, err := s.dialer.Dial(s.url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	p := &peer{t: s.t, ws: ws, inbox: make(chan []byte, 1000), ended: make(chan error, 1)}
	go func() {
		for {
			_, data, err := ws.ReadMessage()
			if err != nil {
				p.ended <- err
				close(p.inbox)
				return
			}
			p.inbox <- data
		}
	}()
	s.t.Cleanup(func() {
		_ = ws.Close()
		for range p.inbox {
		}
	})
	return p
}

// login connects and signs in.
func (s *server) login(name string) *peer {
	s.t.Helper()
	p := s.dial()
	p.send(`{"type":"login","name":%s}`, quote(name))
	if m := p.receive("login"); m.Success == nil || !*m.Success {
		s.t.Fatalf("login as %q: %+v", name, m)
	}
	return p
}

func (p *peer) send(format string, args ...any) {
	p.t.Helper()
	text := format
	for _, a := range args {
		var s string
		switch a := a.(type) {
		case string:
			s = a
		case []byte:
			s = string(a)
		}
		text = strings.Replace(text, "%s", s, 1)
	}
	p.raw(gorilla.TextMessage, []byte(text))
}

func (p *peer) raw(kind int, data []byte) {
	p.t.Helper()
	if err := p.ws.WriteMessage(kind, data); err != nil {
		p.t.Fatalf("send %.60q: %v", data, err)
	}
}

// next returns the next frame.
func (p *peer) next() []byte {
	p.t.Helper()
	select {
	case data, ok := <-p.inbox:
		if !ok {
			p.t.Fatalf("connection ended: %v", <-p.ended)
		}
		return data
	case <-time.After(patience):
		p.t.Fatal("no frame arrived in time")
	}
	return nil
}

// receive returns the next message, which must have this type.
func (p *peer) receive(kind string) message {
	p.t.Helper()
	data := p.next()
	var m message
	if err := json.Unmarshal(data, &m); err != nil {
		p.t.Fatalf("%q: %v", data, err)
	}
	if m.Type != kind {
		p.t.Fatalf("got %s, want type %q", data, kind)
	}
	return m
}

// refused returns the next message, which must be an error with this code.
func (p *peer) refused(e *signal.Error) message {
	p.t.Helper()
	m := p.receive("error")
	if m.Code != e.Code || m.Message == "" {
		p.t.Fatalf("got code %q and message %q, want code %q", m.Code, m.Message, e.Code)
	}
	return m
}

// exact checks that the next frame is want, byte for byte.
func (p *peer) exact(want string) {
	p.t.Helper()
	if got := string(p.next()); got != want {
		p.t.Fatalf("got  %s\nwant %s", got, want)
	}
}

// sync makes a round trip to the server, and fails if another message arrives first. Frames to a client keep their order, so
// after sync no earlier message can still be on its way to it.
func (p *peer) sync() {
	p.t.Helper()
	p.send(`{"type":"are-you-there"}`)
	if m := p.receive("error"); m.Code != signal.ErrUnknownType.Code {
		p.t.Fatalf("got an error of code %q", m.Code)
	}
}

// closed waits until the connection ends and checks its close code.
func (p *peer) closed(code int) {
	p.t.Helper()
	for {
		select {
		case _, ok := <-p.inbox:
			if ok {
				continue
			}
		case <-time.After(patience):
			p.t.Fatal("the connection did not end in time")
		}
		break
	}
	var closeErr *gorilla.CloseError
	if err := <-p.ended; !errors.As(err, &closeErr) || closeErr.Code != code {
		p.t.Fatalf("ended with %v, want close code %d", err, code)
	}
}

// leave closes the connection as a browser does when its page is closed.
func (p *peer) leave() {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	_ = p.ws.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(gorilla.CloseGoingAway, ""), deadline)
	for range p.inbox {
	}
}
