package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"icebox/signal"
	"icebox/signal/client"
	"icebox/signal/gateway"
	"icebox/signal/protocol/native/wire"
	"icebox/signal/signaltest/stack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// server is what a daemon has of signalling, behind a proxy that can break.
type server struct {
	t    *testing.T
	hub  *signal.Hub
	gate *gateway.Gateway
	*proxy
	http *http.Client
}

func start(t *testing.T, changes ...func(*signal.Limits)) *server {
	t.Helper()
	l := signal.DefaultLimits()
	for _, f := range changes {
		f(&l)
	}
	hub, err := signal.New(signal.Options{}, l)
	if err != nil {
		t.Fatal(err)
	}
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
	web := httptest.NewServer(handler)
	s := &server{t: t, hub: hub, gate: gate, proxy: newProxy(t, web.Listener.Addr().String())}
	s.http = &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := hub.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		s.http.CloseIdleConnections()
		s.proxy.close()
		web.Close()
	})
	return s
}

// dial signs in by way of the proxy.
func (s *server) dial(name string, changes ...func(*client.Options)) (*client.Client, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	o := client.Options{URL: "http://" + s.addr(), Name: name, HTTP: s.http, Backoff: func(int) time.Duration { return time.Millisecond }}
	for _, f := range changes {
		f(&o)
	}
	c, err := client.Dial(ctx, o)
	if err == nil {
		s.t.Cleanup(c.Close)
	}
	return c, err
}

// mustDial returns a client whose session is worth keeping: the server has heard from it after its hello.
func (s *server) mustDial(name string, changes ...func(*client.Options)) *client.Client {
	s.t.Helper()
	c, err := s.dial(name, changes...)
	if err == nil {
		_, err = c.Do(timeout(s.t), wire.Request{Type: wire.Unwatch})
	}
	if err != nil {
		s.t.Fatalf("sign in as %s: %v", name, err)
	}
	return c
}

func timeout(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func overEvents(o *client.Options) { o.Events = true }

func overWebSocket(*client.Options) {}

// forEachTransport runs a test over both.
func forEachTransport(t *testing.T, test func(t *testing.T, over func(*client.Options))) {
	for name, over := range map[string]func(*client.Options){"WebSocket": overWebSocket, "events": overEvents} {
		t.Run(name, func(t *testing.T) { test(t, over) })
	}
}

func note(to, data string) wire.Request {
	return wire.Request{Type: wire.Send, To: to, Kind: "note", Data: json.RawMessage(data)}
}

// wantNote wants the next message from another client to be this.
func wantNote(t *testing.T, c *client.Client, data string) {
	t.Helper()
	m, err := c.Wait(timeout(t), wire.Delivery)
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
		if _, err := al.Do(timeout(t), note("bo", `{"a":[1,2]}`)); err != nil {
			t.Fatal(err)
		}
		wantNote(t, bo, `{"a":[1,2]}`)
		for i := range 100 { // far more than are acknowledged at once
			if err := bo.Send(note("al", fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 100 {
			wantNote(t, al, fmt.Sprint(i))
		}
		_, err := al.Do(timeout(t), note("nobody", "1"))
		var refused *client.Error
		if !errors.As(err, &refused) || refused.Code != signal.ErrPeerOffline.Code {
			t.Errorf("a note to nobody: %v", err)
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
			t.Errorf("sign in twice: %v", err)
		}
		s.proxy.close()
		if _, err := s.dial("bo", over); err == nil || errors.As(err, &refused) {
			t.Errorf("sign in nowhere: %v", err)
		}
	})
}

func TestCalls(t *testing.T) {
	s := start(t)
	al, bo := s.mustDial("al"), s.mustDial("bo", overEvents)
	made, err := al.Do(timeout(t), wire.Request{Type: wire.Create})
	if err != nil || made.Call == "" || len(made.ICEServers) != 1 || !strings.HasSuffix(made.Link, made.Call) {
		t.Fatalf("created %+v, %v", made, err)
	}
	if err := al.Send(wire.Request{Type: wire.Send, Call: made.Call, Kind: "offer", Data: json.RawMessage(`"early"`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := al.Do(timeout(t), wire.Request{Type: wire.Unwatch}); err != nil { // what was sent before has come
		t.Fatal(err)
	}
	joined, err := bo.Do(timeout(t), wire.Request{Type: wire.Join, Call: made.Call})
	if err != nil || len(joined.Parties) != 1 || joined.Parties[0].ID != al.ID() {
		t.Fatalf("joined %+v, %v", joined, err)
	}
	wantNote(t, bo, `"early"`)
	if m, err := al.Wait(timeout(t), wire.PartyJoined); err != nil || m.ID != bo.ID() {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := bo.Do(timeout(t), wire.Request{Type: wire.Hangup, Call: made.Call}); err != nil {
		t.Fatal(err)
	}
	if m, err := al.Wait(timeout(t), wire.Ended); err != nil || m.Reason != "hangup" {
		t.Fatalf("%+v, %v", m, err)
	}
}

// A connection that breaks is resumed, with what was said meanwhile on either side.
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

// A connection that goes on without carrying anything is given up after one and a half intervals of pings.
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

// waitUntilForgotten waits until the server has given up the session with the secret, and returns a back-off of no time.
func (s *server) waitUntilForgotten(secret chan string) time.Duration {
	token := <-secret
	secret <- token
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if _, held := s.hub.ClientByToken(token); !held {
			break
		}
	}
	return 0
}

func TestSessionThatCantBeResumed(t *testing.T) {
	forEachTransport(t, func(t *testing.T, over func(*client.Options)) {
		s := start(t)
		secret := make(chan string, 1)
		al := s.mustDial("al", over, func(o *client.Options) { o.Backoff = func(int) time.Duration { return s.waitUntilForgotten(secret) } })
		secret <- al.Secret()
		soon := *s.hub.Limits()
		soon.ResumeWithin = time.Millisecond // set after the sign-in, because over events that is two requests
		if err := s.hub.SetLimits(soon); err != nil {
			t.Fatal(err)
		}
		s.cut()
		for range al.Events() { // until it is over
			continue
		}
		var refused *client.Error
		if err := al.Err(); !errors.As(err, &refused) || refused.Code != signal.ErrResync.Code {
			t.Errorf("the end is %v", err)
		}
		if err := al.Send(note("bo", "1")); err == nil {
			t.Error("something was sent after the end")
		}
		if _, err := al.Do(timeout(t), note("bo", "1")); err == nil {
			t.Error("something was done after the end")
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
		t.Errorf("the end is %v", err)
	}
	if again.Welcome().Name != "al" {
		t.Errorf("welcome %+v", again.Welcome())
	}
}

func TestClose(t *testing.T) {
	forEachTransport(t, func(t *testing.T, over func(*client.Options)) {
		s := start(t)
		al, bo := s.mustDial("al", over), s.mustDial("bo", over)
		if _, err := al.Do(timeout(t), note("bo", "1")); err != nil {
			t.Fatal(err)
		}
		var closing sync.WaitGroup
		for range 3 {
			closing.Go(al.Close)
		}
		closing.Wait()
		if err := al.Err(); !errors.Is(err, client.ErrClosed) {
			t.Errorf("the end is %v", err)
		}
		if m, err := bo.Wait(timeout(t), wire.Gone); err != nil || m.From != al.ID() {
			t.Errorf("%+v, %v", m, err)
		}
		s.mustDial("al", over) // the name is free
	})
}

// What waits for a connection is bounded.
func TestBacklog(t *testing.T) {
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
		t.Errorf("Send: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := al.Do(ctx, note("al", "1")); err == nil {
		t.Error("a request was done without a connection")
	}
}
