package native_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"icebox/signal"
	"icebox/signal/client"
	"icebox/signal/protocol/classic"
	"icebox/signal/protocol/native"
	"icebox/signal/protocol/native/wire"
	"icebox/signal/signaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a hub with this protocol and the classic one, behind a real HTTP server.
type server struct {
	t       *testing.T
	hub     *signal.Hub
	handler *native.Handler
	url     string
}

// setup has the options that a test may change before the server starts.
type setup struct {
	hub    signal.Options
	limits signal.Limits
	native native.Options
}

// testICE is a signal.ICEProvider. The username that it returns names the user and the call.
func testICE(_ context.Context, r signal.ICERequest) (signal.ICEServers, error) {
	return signal.ICEServers{
		STUN: []string{"stun:h:3478"}, TURN: []string{"turn:h:3478"},
		Username: "1:" + r.User + "/" + r.Call, Password: "pw", TTL: time.Hour, Expires: time.Unix(9999999999, 0),
	}, nil
}

// start returns a server that is shut down when the test ends.
func start(t *testing.T, changes ...func(*setup)) *server {
	t.Helper()
	o := setup{limits: signal.DefaultLimits(), native: native.Options{ICE: testICE}}
	for _, f := range changes {
		f(&o)
	}
	hub := signaltest.Hub(t, o.hub, o.limits)
	o.native.Hub = hub
	h, err := native.New(o.native)
	if err != nil {
		t.Fatal(err)
	}
	old := classic.New(hub, nil, nil, classic.Options{})
	a := signaltest.Access{Visitor: signal.Visitor{Addr: netip.MustParseAddr("127.0.0.1"), Host: "h", Base: "https://h"}}
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) { h.ServeWebSocket(w, r, a) })
	mux.HandleFunc("/classic", func(w http.ResponseWriter, r *http.Request) { old.Serve(w, r, a) })
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) { h.ServeEvents(w, r, a) })
	return &server{t: t, hub: hub, handler: h, url: signaltest.Serve(t, hub, mux)}
}

// dial signs a client in and closes it when the test ends.
func (s *server) dial(name string, changes ...func(*client.Options)) *client.Client {
	s.t.Helper()
	c, err := s.tryDial(name, changes...)
	if err != nil {
		s.t.Fatalf("sign in as %q: %v", name, err)
	}
	return c
}

func (s *server) tryDial(name string, changes ...func(*client.Options)) (*client.Client, error) {
	o := client.Options{URL: s.url, Name: name, Backoff: func(int) time.Duration { return time.Millisecond }}
	for _, f := range changes {
		f(&o)
	}
	c, err := client.Dial(signaltest.Within(s.t), o)
	if err == nil {
		s.t.Cleanup(c.Close)
	}
	return c, err
}

// rawClient is a WebSocket on which a test reads and writes the messages itself.
type rawClient struct{ *signaltest.Conn }

func (s *server) raw(path string) *rawClient {
	s.t.Helper()
	d := &gorilla.Dialer{Subprotocols: []string{"other", wire.Subprotocol}}
	return &rawClient{signaltest.MustDial(s.t, d, s.url+path)}
}

// receive returns the next message.
func (r *rawClient) receive() map[string]any {
	r.TB.Helper()
	text := r.MustNext()
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		r.TB.Fatalf("%s: %v", text, err)
	}
	return m
}

// script runs the lines of a scripted conversation:
//
//	al> {...}   al sends this message.
//	al< {...}   The next message to al must have these members with these values; it may have others.
//	al!         The next line of al's uses a new connection.
//	al. 1008    The server must close al's connection with this close code.
//
// In an expected message, "$x" stands for any string the first time and for the same string afterwards, and "*" for any
// string that is not empty. In a message that is sent, $x is replaced by the string that it stands for.
func (s *server) script(lines ...string) {
	s.t.Helper()
	conns, vars := make(map[string]*rawClient), make(map[string]string)
	conn := func(name string) *rawClient {
		if conns[name] == nil {
			path := "/ws"
			if strings.HasPrefix(name, "old") {
				path = "/classic"
			}
			conns[name] = s.raw(path)
		}
		return conns[name]
	}
	for _, line := range lines {
		at := strings.IndexAny(line, "<>!.")
		name, rest := line[:at], strings.TrimSpace(line[at+1:])
		switch line[at] {
		case '!':
			delete(conns, name)
		case '.':
			s.t.Log(line) // a failure names only the code
			code, err := strconv.Atoi(rest)
			if err != nil {
				s.t.Fatal(err)
			}
			conn(name).SkipToClose(code)
		case '>':
			for _, v := range slices.Backward(slices.Sorted(maps.Keys(vars))) { // $alsecret before $al
				rest = strings.ReplaceAll(rest, v, vars[v])
			}
			conn(name).Send(rest)
		case '<':
			var want any
			if err := json.Unmarshal([]byte(rest), &want); err != nil {
				s.t.Fatalf("%s: %v", line, err)
			}
			got := conn(name).receive()
			if problem := match(want, got, vars); problem != "" {
				text, _ := json.Marshal(got)
				s.t.Fatalf("%s\ngot %s\n%s", line, text, problem)
			}
		}
	}
}

// match returns a description of the first difference between want and got, or "" if got matches.
func match(want, got any, vars map[string]string) string {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%v is not an object", got)
		}
		for k, v := range want {
			if problem := match(v, object[k], vars); problem != "" {
				return k + ": " + problem
			}
		}
		return ""
	case []any:
		list, _ := got.([]any)
		if len(list) != len(want) {
			return fmt.Sprintf("got %v, want %v", got, want)
		}
		for i := range want {
			if problem := match(want[i], list[i], vars); problem != "" {
				return problem
			}
		}
		return ""
	case string:
		if s, ok := got.(string); ok && want == "*" && s != "" {
			return ""
		}
		if s, ok := got.(string); ok && strings.HasPrefix(want, "$") {
			if vars[want] == "" {
				vars[want] = s
			}
			want = vars[want]
		}
		if want != got {
			return fmt.Sprintf("got %v, want %v", got, want)
		}
		return ""
	default:
		if !reflect.DeepEqual(want, got) {
			return fmt.Sprintf("got %v, want %v", got, want)
		}
		return ""
	}
}
