package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"icebox/signal"
	"icebox/signal/client"
	"icebox/signal/gateway"
	"icebox/signal/protocol/native/wire"
	"icebox/signal/signaltest"
	"icebox/signal/signaltest/stack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is the signalling part of the daemon, behind a proxy that can break connections.
type server struct {
	t    *testing.T
	hub  *signal.Hub
	gate *gateway.Gateway
	*proxy
	http *http.Client
}

func start(t *testing.T, changes ...func(*signal.Limits)) *server {
	t.Helper()
	l := signaltest.Limits(changes...)
	hub := signaltest.Hub(t, signal.Options{}, l)
	ice := func(_ context.Context, r signal.ICERequest) (signal.ICEServers, error) {
		return signal.ICEServers{TURN: []string{"turn:h"}, Username: r.User, Password: "pw", TTL: time.Hour}, nil
	}
	gate, err := gateway.New(gateway.Options{Hub: hub, ICE: ice}, l)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := stack.Listener(gate, hub, gateway.Listener{Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	url := signaltest.Serve(t, hub, handler)
	s := &server{t: t, hub: hub, gate: gate, proxy: newProxy(t, strings.TrimPrefix(url, "http://"))}
	s.http = &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		signaltest.ShutDown(t, hub)
		s.http.CloseIdleConnections()
		s.proxy.close()
	})
	return s
}

// dial signs in through the proxy.
func (s *server) dial(name string, changes ...func(*client.Options)) (*client.Client, error) {
	o := client.Options{URL: "http://" + s.addr(), Name: name, HTTP: s.http, Backoff: func(int) time.Duration { return time.Millisecond }}
	for _, f := range changes {
		f(&o)
	}
	c, err := client.Dial(signaltest.Within(s.t), o)
	if err == nil {
		s.t.Cleanup(c.Close)
	}
	return c, err
}

// mustDial returns a client whose session can be resumed, because the server has received a message after the hello.
func (s *server) mustDial(name string, changes ...func(*client.Options)) *client.Client {
	s.t.Helper()
	c, err := s.dial(name, changes...)
	if err == nil {
		_, err = c.Do(signaltest.Within(s.t), wire.Request{Type: wire.Unwatch})
	}
	if err != nil {
		s.t.Fatalf("sign in as %s: %v", name, err)
	}
	return c
}

func overEvents(o *client.Options) { o.Events = true }

func overWebSocket(*client.Options) {}

// forEachTransport runs a test over a WebSocket and over events.
func forEachTransport(t *testing.T, test func(t *testing.T, over func(*client.Options))) {
	for name, over := range map[string]func(*client.Options){"WebSocket": overWebSocket, "events": overEvents} {
		t.Run(name, func(t *testing.T) { test(t, over) })
	}
}

func note(to, data string) wire.Request {
	return wire.Request{Type: wire.Send, To: to, Kind: "note", Data: json.RawMessage(data)}
}

// wantNote fails the test unless the next message from another client is data.
func wantNote(t *testing.T, c *client.Client, data string) {
	t.Helper()
	m, err := c.Wait(signaltest.Within(t), wire.Delivery)
	if err != nil || string(m.Data) != data {
		t.Fatalf("got %s, %v, want %s", m.Data, err, data)
	}
}

func TestSignInAndMessages(t *testing.T) {
	forEachTransport(t, func(t *testing.T, over func(*client.Options)) {
		s := start(t)
		al, bo := s.mustDial("al", over), s.mustDial("bo", over)
		if w := al.Welcome(); w.Name != "al" || len(w.ICEServers) != 1 || w.Limits.Message == 0 || al.ID() != w.ID || al.Secret() == "" {
			t.Errorf("welcome %+v", w)
		}
		if _, err := al.Do(signaltest.Within(t), note("bo", `{"a":[1,2]}`)); err != nil {
			t.Fatal(err)
		}
		wantNote(t, bo, `{"a":[1,2]}`)
		for i := range 100 { // many more than the client acknowledges at once
			if err := bo.Send(note("al", fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 100 {
			wantNote(t, al, fmt.Sprint(i))
		}
		_, err := al.Do(signaltest.Within(t), note("nobody", "1"))
		var refused *client.Error
		if !errors.As(err, &refused) || refused.Code != signal.ErrPeerOffline.Code {
			t.Errorf("a note to a name that is free: %v", err)
		}
	})
}

func TestRefusedSignIn(t *testing.T) {
	forEachTransport(t, func(t *testing.T, over func(*client.Options)) {
		s := start(t)
		s.mustDial("al", over)
		_, err := s.dial("al", over)
		var refused *client.Error
		if !errors.As(err, &refused) || refused.Code != signal.ErrNameTaken.Code {
			t.Errorf("second sign-in under the same name: %v", err)
		}
		s.proxy.close()
		if _, err := s.dial("bo", over); err == nil || errors.As(err, &refused) {
			t.Errorf("sign-in without a server: %v", err)
		}
	})
}

func TestCalls(t *testing.T) {
	s := start(t)
	al, bo := s.mustDial("al"), s.mustDial("bo", overEvents)
	created, err := al.Do(signaltest.Within(t), wire.Request{Type: wire.Create})
	if err != nil || created.Call == "" || len(created.ICEServers) != 1 || !strings.HasSuffix(created.Link, created.Call) {
		t.Fatalf("created %+v, %v", created, err)
	}
	if err := al.Send(wire.Request{Type: wire.Send, Call: created.Call, Kind: "offer", Data: json.RawMessage(`"early"`)}); err != nil {
		t.Fatal(err)
	}
	// The reply to a later request means that the server has handled the offer.
	if _, err := al.Do(signaltest.Within(t), wire.Request{Type: wire.Unwatch}); err != nil {
		t.Fatal(err)
	}
	joined, err := bo.Do(signaltest.Within(t), wire.Request{Type: wire.Join, Call: created.Call})
	if err != nil || len(joined.Parties) != 1 || joined.Parties[0].ID != al.ID() {
		t.Fatalf("joined %+v, %v", joined, err)
	}
	wantNote(t, bo, `"early"`)
	if m, err := al.Wait(signaltest.Within(t), wire.PartyJoined); err != nil || m.ID != bo.ID() {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := bo.Do(signaltest.Within(t), wire.Request{Type: wire.Hangup, Call: created.Call}); err != nil {
		t.Fatal(err)
	}
	if m, err := al.Wait(signaltest.Within(t), wire.Ended); err != nil || m.Reason != "hangup" {
		t.Fatalf("%+v, %v", m, err)
	}
}

// A session is resumed when its connection breaks, and messages of both sides that were sent meanwhile are delivered.
func TestResume(t *testing.T) {
	forEachTransport(t, func(t *testing.T, over func(*client.Options)) {
		s := start(t)
		al, bo := s.mustDial("al", over), s.mustDial("bo", over)
		for i := range 10 {
			s.cut()
			if err := al.Send(note("bo", fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
			if err := bo.Send(note("al", fmt.Sprint(-i))); err != nil {
				t.Fatal(err)
			}
			wantNote(t, bo, fmt.Sprint(i))
			wantNote(t, al, fmt.Sprint(-i))
		}
	})
}

// A connection over which nothing arrives for one and a half ping intervals is given up, even though it stays open.
func TestSilentConnectionIsGivenUp(t *testing.T) {
	s := start(t)
	al := s.mustDial("al", func(o *client.Options) { o.PingEvery = 100 * time.Millisecond })
	s.silence()
	bo := s.mustDial("bo")
	if err := bo.Send(note("al", "1")); err != nil {
		t.Fatal(err)
	}
	wantNote(t, al, "1")
}

// waitUntilForgotten is a Backoff that waits until the server has dropped the session whose secret is in the channel.
func (s *server) waitUntilForgotten(secret chan string) time.Duration {
	token := <-secret
	secret <- token
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(signaltest.Patience); time.Now().Before(end); <-tick.C {
		if _, held := s.hub.ClientByToken(token); !held {
			break
		}
	}
	return 0
}

func TestSessionThatCannotBeResumedEnds(t *testing.T) {
	forEachTransport(t, func(t *testing.T, over func(*client.Options)) {
		s := start(t)
		secret := make(chan string, 1)
		al := s.mustDial("al", over, func(o *client.Options) { o.Backoff = func(int) time.Duration { return s.waitUntilForgotten(secret) } })
		secret <- al.Secret()
		limits := *s.hub.Limits()
		limits.ResumeWithin = time.Millisecond // not before, because a sign-in over events takes two requests
		if err := s.hub.SetLimits(limits); err != nil {
			t.Fatal(err)
		}
		s.cut()
		for range al.Events() { // until the session ends
			continue
		}
		var refused *client.Error
		if err := al.Err(); !errors.As(err, &refused) || refused.Code != signal.ErrResync.Code {
			t.Errorf("the session ended with %v", err)
		}
		if err := al.Send(note("bo", "1")); err == nil {
			t.Error("Send succeeded after the session had ended")
		}
		if _, err := al.Do(signaltest.Within(t), note("bo", "1")); err == nil {
			t.Error("Do succeeded after the session had ended")
		}
	})
}

func TestReplace(t *testing.T) {
	s := start(t)
	old := s.mustDial("al")
	again := s.mustDial("al", func(o *client.Options) { o.Replace = old.Secret() })
	for range old.Events() {
		continue
	}
	var bye *client.Bye
	if err := old.Err(); !errors.As(err, &bye) || bye.Reason != "replaced" || bye.Reconnect {
		t.Errorf("the session ended with %v", err)
	}
	if again.Welcome().Name != "al" {
		t.Errorf("welcome %+v", again.Welcome())
	}
}

func TestClose(t *testing.T) {
	forEachTransport(t, func(t *testing.T, over func(*client.Options)) {
		s := start(t)
		al, bo := s.mustDial("al", over), s.mustDial("bo", over)
		if _, err := al.Do(signaltest.Within(t), note("bo", "1")); err != nil {
			t.Fatal(err)
		}
		var closing sync.WaitGroup
		for range 3 {
			closing.Go(al.Close)
		}
		closing.Wait()
		if err := al.Err(); !errors.Is(err, client.ErrClosed) {
			t.Errorf("the session ended with %v", err)
		}
		if m, err := bo.Wait(signaltest.Within(t), wire.Gone); err != nil || m.From != al.ID() {
			t.Errorf("%+v, %v", m, err)
		}
		s.mustDial("al", over) // the name is free again
	})
}

// The number of requests that wait for a connection is limited.
func TestBacklogIsLimited(t *testing.T) {
	s := start(t)
	al := s.mustDial("al")
	s.proxy.close()
	s.cut()
	var err error
	for range 1000 {
		if err = al.Send(note("al", "1")); err != nil {
			break
		}
	}
	if !errors.Is(err, client.ErrBacklog) {
		t.Errorf("1000 requests without a connection: got %v, want %v", err, client.ErrBacklog)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := al.Do(ctx, note("al", "1")); err == nil {
		t.Error("Do succeeded without a connection")
	}
}
