package classic

import (
	"context"
	"encoding/json"
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
	hub := signaltest.Hub(t, so, limits)
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
type peer struct{ *signaltest.Conn }

func (s *server) dial() *peer {
	s.t.Helper()
	return &peer{signaltest.MustDial(s.t, s.dialer, s.url).ReadInBackground()}
}

// login connects and signs in.
func (s *server) login(name string) *peer {
	s.t.Helper()
	p := s.dial()
	p.Sendf(`{"type":"login","name":%s}`, quote(name))
	if m := p.receive("login"); m.Success == nil || !*m.Success {
		s.t.Fatalf("login as %q: %+v", name, m)
	}
	return p
}

// receive returns the next message, which must have this type.
func (p *peer) receive(kind string) message {
	p.TB.Helper()
	data := p.MustNext()
	var m message
	if err := json.Unmarshal(data, &m); err != nil {
		p.TB.Fatalf("%q: %v", data, err)
	}
	if m.Type != kind {
		p.TB.Fatalf("got %s, want type %q", data, kind)
	}
	return m
}

// refused returns the next message, which must be an error with this code.
func (p *peer) refused(e *signal.Error) message {
	p.TB.Helper()
	m := p.receive("error")
	if m.Code != e.Code || m.Message == "" {
		p.TB.Fatalf("got code %q and message %q, want code %q", m.Code, m.Message, e.Code)
	}
	return m
}

// sync makes a round trip to the server, and fails if another message arrives first. Frames to a client keep their order, so
// after sync no earlier message can still be on its way to it.
func (p *peer) sync() {
	p.TB.Helper()
	p.Send(`{"type":"are-you-there"}`)
	if m := p.receive("error"); m.Code != signal.ErrUnknownType.Code {
		p.TB.Fatalf("got an error of code %q", m.Code)
	}
}

// leave closes the connection as a browser does when its page is closed.
func (p *peer) leave() {
	p.TB.Helper()
	deadline := time.Now().Add(signaltest.Patience)
	_ = p.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(gorilla.CloseGoingAway, ""), deadline)
	p.Drain()
}
