package native_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"icebox/signal"
	"icebox/signal/client"
	"icebox/signal/protocol/native"
	"icebox/signal/protocol/native/wire"
	"icebox/signal/signaltest"
)

// A client gets fresh ICE servers for its session and for its call, and none for a call that has ended.
func TestFreshICEServersArePushed(t *testing.T) {
	s := start(t, func(o *setup) {
		o.native.ICE = func(ctx context.Context, r signal.ICERequest) (signal.ICEServers, error) {
			servers, err := testICE(ctx, r)
			servers.TTL = 500 * time.Millisecond
			servers.Expires = time.Now().Add(servers.TTL)
			return servers, err
		}
	})
	al := s.dial("al")
	made, err := al.Do(signaltest.Within(t), wire.Request{Type: wire.Create})
	if err != nil {
		t.Fatal(err)
	}
	pushed := make(map[string]int)
	for pushed[""] < 2 || pushed[made.Call] < 2 {
		m, err := al.Wait(signaltest.Within(t), wire.ICE)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.ICEServers) != 2 || !strings.HasSuffix(m.ICEServers[1].Username, "/"+m.Call) {
			t.Fatalf("got %+v", m)
		}
		pushed[m.Call]++
	}
	if _, err := al.Do(signaltest.Within(t), wire.Request{Type: wire.Hangup, Call: made.Call}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if m, err := al.Wait(signaltest.Within(t), wire.ICE); err != nil || m.Call != "" {
			t.Errorf("after the call has ended: %+v, %v, want ICE servers of the session", m, err)
		}
	}
}

func TestNoICEServers(t *testing.T) {
	s := start(t, func(o *setup) {
		o.native.ICE = func(context.Context, signal.ICERequest) (signal.ICEServers, error) {
			return signal.ICEServers{}, signal.ErrMintLimited
		}
	})
	al := s.dial("al")
	if w := al.Welcome(); w.ICEServers != nil || w.ICEError == nil || w.ICEError.Code != signal.ErrMintLimited.Code {
		t.Errorf("got %+v", w)
	}
}

func TestShutdownSaysGoodbye(t *testing.T) {
	s := start(t)
	al, never := s.raw("/ws"), s.raw("/ws")
	al.Send(`{"type":"hello","v":1,"name":"al"}`)
	secret := al.receive()["resume"].(string)
	al.Send(`{"type":"ping"}`)
	al.receive()
	events := s.stream(secret, "0")
	if m := al.receive(); m["reason"] != "elsewhere" {
		t.Fatal(m)
	}
	ctx, over := signaltest.Within(t), make(chan error, 1)
	go func() { over <- s.hub.Shutdown(ctx) }()
	if got := events.next(t); got["type"] != wire.Resumed {
		t.Fatal(got)
	}
	if got := events.next(t); got["type"] != wire.Bye || got["reason"] != "restarting" || got["reconnect"] != true {
		t.Fatal(got)
	}
	never.SkipToClose(1012) // it had not signed in
	if err := <-over; err != nil {
		t.Error(err)
	}
	if status, _ := s.post(native.HelloPath, "", `{"type":"hello","v":1}`); status != http.StatusServiceUnavailable {
		t.Errorf("a hello after the shutdown: status %d, want 503", status)
	}
}

// verifier is a signal.TokenVerifier that accepts a few tokens.
type verifier map[string]signal.Grant

func (v verifier) Verify(_ context.Context, token string) (signal.Grant, error) {
	g, ok := v[token]
	if !ok {
		return g, signal.ErrTokenInvalid
	}
	return g, nil
}

// A client may do only what its token allows, and its session ends when the token expires.
func TestGrants(t *testing.T) {
	tokens := verifier{
		"al": {Name: "al"}, "bo": {Name: "bo", Limited: true, Calls: []string{"room"}}, "cy": {Name: "cy"},
		"short": {Name: "cy", Expires: time.Now().Add(100 * time.Millisecond)},
	}
	s := start(t, func(o *setup) {
		o.native.Authorize = func(ctx context.Context, v signal.Visitor, token string) (signal.Visitor, error) {
			var err error
			v.Grant, err = tokens.Verify(ctx, token)
			return v, err
		}
	})
	as := func(token string) func(*client.Options) { return func(o *client.Options) { o.Token = token } }
	refused := func(err error, want *signal.Error) {
		t.Helper()
		var got *client.Error
		if !errors.As(err, &got) || got.Code != want.Code {
			t.Errorf("got %v, want %s", err, want.Code)
		}
	}
	_, err := s.tryDial("al")
	refused(err, signal.ErrTokenInvalid)
	_, err = s.tryDial("bo", as("al"))
	refused(err, signal.ErrNameNotAllowed)
	al, bo, cy := s.dial("", as("al")), s.dial("bo", as("bo")), s.dial("", as("cy"))
	if al.Welcome().Name != "al" {
		t.Errorf("al's name is %q, want the one in its token", al.Welcome().Name)
	}
	_, err = bo.Do(signaltest.Within(t), wire.Request{Type: wire.Create})
	refused(err, signal.ErrCallBarred)
	_, err = bo.Do(signaltest.Within(t), wire.Request{Type: wire.Join, Call: "other"})
	refused(err, signal.ErrCallBarred)
	if m, err := bo.Do(signaltest.Within(t), wire.Request{Type: wire.Join, Call: "room"}); err != nil || m.Call != "room" {
		t.Errorf("%+v, %v", m, err)
	}
	_, err = al.Do(signaltest.Within(t), wire.Request{Type: wire.Join, Call: "room"})
	refused(err, signal.ErrCallBarred)
	_, err = cy.Do(signaltest.Within(t), wire.Request{Type: wire.Renew, Token: "al"})
	refused(err, signal.ErrNameNotAllowed)
	_, _ = cy.Do(signaltest.Within(t), wire.Request{Type: wire.Renew, Token: "short"}) // the session may end before the response arrives
	for range cy.Events() {
	}
	var bye *client.Bye
	if !errors.As(cy.Err(), &bye) || bye.Reason != "token-expired" || !bye.Reconnect {
		t.Errorf("the session of an expired token ended with %v", cy.Err())
	}
}

// When a client does not read, the messages of one sender are refused before its queue is full, so that this sender
// cannot get the client disconnected. Other clients are not delayed.
func TestSenderToSlowReaderIsRefused(t *testing.T) {
	s := start(t, func(o *setup) {
		o.limits.QueueMessages, o.limits.MessageBurst, o.limits.MessagesPerSecond = 8, 1e6, 1e6
		o.hub.WriteWait = signaltest.Patience
	})
	slow, bo := s.raw("/ws"), s.dial("bo")
	if err := slow.NetConn().(*net.TCPConn).SetReadBuffer(4 << 10); err != nil { // a small buffer is soon full
		t.Fatal(err)
	}
	slow.Send(`{"type":"hello","v":1,"name":"slow"}`)
	slow.receive()
	slow.Send(`{"type":"ping"}`)
	slow.receive()
	payload, _ := json.Marshal(strings.Repeat("x", 100<<10))
	for {
		_, err := bo.Do(signaltest.Within(t), wire.Request{Type: wire.Send, To: "slow", Kind: "x", Data: payload})
		var refused *client.Error
		if errors.As(err, &refused) && refused.Code == signal.ErrPeerBusy.Code {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := bo.Do(signaltest.Within(t), wire.Request{Type: wire.ICE}); err != nil {
		t.Errorf("bo gets no response from the server: %v", err)
	}
}
