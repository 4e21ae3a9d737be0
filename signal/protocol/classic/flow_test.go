package classic

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"icebox/signal"
	"icebox/signal/signaltest"
)

const (
	sdpOffer  = `{"type":"offer","sdp":"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\n"}`
	sdpAnswer = `{ "sdp" : "v=0\r\n\u00e9<&>", "type" : "answer" }`
	candidate = `{"candidate":"candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"abcd"}`
)

// page is a client that behaves as those of the tutorials do: while it is in a call, it sends every message to the peer of
// the call, connected.
type page struct {
	*peer
	connected string
}

func (p *page) say(kind, member, payload, name string) {
	p.TB.Helper()
	text := `{"type":"` + kind + `"`
	if member != "" {
		text += `,"` + member + `":` + payload
	}
	if p.connected != "" {
		name = p.connected
	}
	if name != "" {
		text += `,"name":"` + name + `"`
	}
	p.Send(text + "}")
}

func (p *page) call(name string) {
	p.TB.Helper()
	p.connected = name
	p.say("offer", "offer", sdpOffer, "")
}

func (p *page) hangUp() {
	p.TB.Helper()
	p.say("leave", "", "", "")
	p.connected = ""
}

func (p *page) answerCall(from string) {
	p.TB.Helper()
	p.Want(`{"type":"offer","offer":` + sdpOffer + `,"name":"` + from + `"}`)
	p.connected = from
	p.say("answer", "answer", sdpAnswer, "")
}

func TestTutorialOnPort9090(t *testing.T) {
	s := start(t, Options{Greeting: "Hello world", UnknownCommand: "Command not found"})
	al, bo := &page{peer: s.dial()}, &page{peer: s.dial()}
	al.Want("Hello world")
	bo.Want("Hello world")
	al.say("login", "", "", "al")
	if m := al.receive("login"); m.Success == nil || !*m.Success {
		t.Fatalf("al cannot sign in: %+v", m)
	}
	bo.say("login", "", "", "al")
	if m := bo.receive("login"); m.Success == nil || *m.Success || m.Code != "name-taken" || m.Message == "" {
		t.Fatalf("the second al: %+v", m)
	}
	bo.say("login", "", "", "bo")
	bo.receive("login")

	al.call("bo")
	bo.answerCall("al")
	al.Want(`{"type":"answer","answer":` + sdpAnswer + `}`)
	for range 5 {
		al.say("candidate", "candidate", candidate, "")
		bo.Want(`{"type":"candidate","candidate":` + candidate + `}`)
		bo.say("candidate", "candidate", candidate, "")
		al.Want(`{"type":"candidate","candidate":` + candidate + `}`)
	}
	al.hangUp()
	bo.Want(`{"type":"leave"}`)
	bo.connected = ""

	bo.call("al")
	al.answerCall("bo")
	bo.Want(`{"type":"answer","answer":` + sdpAnswer + `}`)
	al.leave()
	bo.Want(`{"type":"leave"}`)
	bo.Send(`{"type":"dance"}`)
	if m := bo.refused(signal.ErrUnknownType); m.Message != "Command not found: dance" {
		t.Fatalf("message %q", m.Message)
	}
}

func TestTutorialOnPort8888(t *testing.T) {
	s := start(t, Options{UnknownCommand: "Unrecognized command"})
	al, bo := &page{peer: s.login("al")}, &page{peer: s.login("bo")}
	bo.hangUp() // pressed before any call
	for range 3 {
		al.call("bo")
		bo.answerCall("al")
		al.Want(`{"type":"answer","answer":` + sdpAnswer + `}`)
		bo.say("candidate", "candidate", candidate, "")
		al.Want(`{"type":"candidate","candidate":` + candidate + `}`)
		bo.hangUp()
		al.Want(`{"type":"leave"}`)
		al.hangUp() // these clients keep the name of their peer until they hang up themselves
		al.connected = ""
	}
	bo.waitForState(t, "Unrecognized command: undefined", `{"kind":"x"}`)
	bo.waitForState(t, "Unrecognized command: null", `{"type":null}`)
	bo.waitForState(t, "Unrecognized command: 7", `{"type":7}`)

	// A reload: the page's connection closes, the new page signs in under the same name.
	bo.leave()
	again := &page{peer: s.login("bo")}
	al.call("bo")
	again.answerCall("al")
	al.Want(`{"type":"answer","answer":` + sdpAnswer + `}`)
}

func (p *page) waitForState(t *testing.T, want, text string) {
	t.Helper()
	p.Send(text)
	if m := p.refused(signal.ErrUnknownType); m.Message != want {
		t.Fatalf("got %q, want %q", m.Message, want)
	}
}

func TestLoginCarriesICEServersAndToken(t *testing.T) {
	s := start(t, Options{})
	al := s.dial()
	al.Send(`{"type":"login","name":"al"}`)
	m := al.receive("login")
	want := []signal.RTCIceServer{
		{URLs: []string{"stun:ice.example:3478"}},
		{URLs: []string{"turn:ice.example:3478?transport=udp"}, Username: "9999999999:al", Credential: "pw"},
	}
	if !slices.EqualFunc(m.ICEServers, want, func(a, b signal.RTCIceServer) bool {
		return slices.Equal(a.URLs, b.URLs) && a.Username == b.Username && a.Credential == b.Credential
	}) {
		t.Errorf("iceServers %+v, want %+v", m.ICEServers, want)
	}
	if m.Expires != 9999999999 {
		t.Errorf("expires %d", m.Expires)
	}
	c, ok := s.hub.SignedInClient(m.Token)
	if !ok || c.Name() != "al" {
		t.Error("the token isn't al's")
	}
	al.leave()
	s.login("al") // succeeds only after the old connection has ended
	if _, ok := s.hub.SignedInClient(m.Token); ok {
		t.Error("the token outlives its connection")
	}
	for _, forged := range []string{"", "x", m.Token + "A", "AAAAAA" + m.Token[6:], m.Token[:36] + "AAAAAA" + m.Token[42:]} {
		if _, ok := s.hub.SignedInClient(forged); ok {
			t.Errorf("forged token %q is accepted", forged)
		}
	}
}

func TestLoginWorksWithoutICEServers(t *testing.T) {
	failing := func(context.Context, signal.ICERequest) (signal.ICEServers, error) {
		return signal.ICEServers{}, errors.New("read the secret: no such file")
	}
	for name, c := range map[string]struct {
		ice  signal.ICEProvider
		code string
	}{"no provider": {nil, ""}, "a provider that fails": {failing, "unavailable"}} {
		t.Run(name, func(t *testing.T) {
			s := startWith(t, c.ice, Options{}, (*httptest.Server).Start)
			al := s.dial()
			al.Send(`{"type":"login","name":"al"}`)
			m := al.receive("login")
			if !*m.Success || m.ICEServers != nil || m.Expires != 0 || (m.ICEError != nil) != (c.code != "") {
				t.Fatalf("login %+v", m)
			}
			if m.ICEError != nil && (m.ICEError.Code != c.code || strings.Contains(m.ICEError.Message, "secret")) {
				t.Errorf("iceError %+v", m.ICEError)
			}
		})
	}
}

// With Options.Loose, candidates and leaves are forwarded although no offer was exchanged.
func TestLooseClientsNeedNoOffer(t *testing.T) {
	s := start(t, Options{Loose: true})
	al, bo := s.login("al"), s.login("bo")
	al.Send(`{"type":"candidate","candidate":null,"name":"bo"}`)
	bo.Want(`{"type":"candidate","candidate":null}`)
	al.Send(`{"type":"leave","name":"bo"}`)
	bo.Want(`{"type":"leave"}`)
}

// A Handler without a logger discards its log records. It logs when the ICE provider fails.
func TestNilLogger(t *testing.T) {
	hub := signaltest.Hub(t, signal.Options{}, signal.DefaultLimits())
	h := New(hub, func(context.Context, signal.ICERequest) (signal.ICEServers, error) {
		return signal.ICEServers{}, errors.New("read the secret: no such file")
	}, nil, Options{})
	conn := new(sink)
	client, err := hub.Connect(conn, h.service.Profile, signal.Visitor{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if slow := h.service.NewHandler(client).HandleText([]byte(`{"type":"login","name":"al"}`)); slow != nil {
		slow()
	}
	if conn.frames != 1 {
		t.Errorf("got %d replies to the login, want 1", conn.frames)
	}
}
