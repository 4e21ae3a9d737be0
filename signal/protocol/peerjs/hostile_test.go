package peerjs_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"

	"icebox/signal"
	"icebox/signal/signaltest"
)

// Malformed messages and messages that only a server may send are dropped and counted. They reach no other client and do not
// end the sender's connection.
func TestMalformedAndForgedMessages(t *testing.T) {
	s := serve(t)
	bob, alice := s.open("peerjs", "bob", "b"), s.open("peerjs", "alice", "a")
	malformed := []string{
		`[]`, `{}`, `{"type":null}`, `{"type":["OFFER"],"dst":"bob","payload":{}}`,
		`{"type":"OFFER","dst":"bob"}`, `{"type":"OFFER","dst":"bob","payload":null}`, `{"type":"OFFER","dst":"bob","payload":"x"}`,
		`{"type":"OFFER","payload":{}}`, `{"type":"OFFER","dst":{},"payload":{}}`, `{"type":"OFFER","dst":"","payload":{}}`,
		`{"type":"OFFER","dst":"bob\u0000","payload":{}}`,
	}
	for _, text := range malformed {
		alice.Send(text)
	}
	forged := []string{"OPEN", "ERROR", "ID-TAKEN", "INVALID-KEY", "else"}
	for _, kind := range forged {
		alice.Send(fmt.Sprintf(`{"type":%q,"src":"eve","dst":"bob","payload":{"msg":"x"}}`, kind))
	}
	alice.Send(`{"type":"ANSWER","src":"eve","dst":"bob","payload":{}}`)
	bob.Want(`{"type":"ANSWER","src":"alice","dst":"bob","payload":{}}`)
	alice.still("alice")
	s.refused("bad-message", float64(len(malformed)))
	s.refused("unknown-type", float64(len(forged)))
}

func TestTooLargeOfferEndsItsSender(t *testing.T) {
	s := serve(t)
	bob, alice := s.open("peerjs", "bob", "b"), s.open("peerjs", "alice", "a")
	alice.Send(strings.Replace(offer, "v=0", strings.Repeat("x", 256<<10), 1))
	alice.Want(`{"type":"ERROR","payload":{"msg":"` + signal.ErrTooLarge.Message + `"}}`)
	alice.WantClose(gorilla.CloseMessageTooBig)
	bob.still("bob")
	s.refused("message-too-large", 1)
}

// Clients of one application can neither reach clients of another application or of icebox's own protocols, nor take their
// names.
func TestApplicationsAreIsolated(t *testing.T) {
	s := serve(t)
	bob, other := s.open("peerjs", "bob", "b"), s.open("app", "bob", "b")
	classic := signaltest.MustDial(t, gorilla.DefaultDialer, s.url+"/ws")
	for _, name := range []string{"bob", "peerjs\x00app\x00app\x00bob"} {
		if err := classic.WriteJSON(map[string]string{"type": "login", "name": name}); err != nil {
			t.Fatal(err)
		}
		var reply struct {
			Success bool
			Code    string
		}
		if err := classic.ReadJSON(&reply); err != nil || reply.Success != (name == "bob") {
			t.Fatalf("login as %q: %+v, %v", name, reply, err)
		}
	}
	for _, name := range []string{"bob", "peerjs\x00app\x00app\x00bob", "app\x00bob"} {
		for _, kind := range []string{"offer", "answer", "candidate", "leave"} {
			if err := classic.WriteJSON(map[string]any{"type": kind, kind: map[string]int{"x": 1}, "name": name}); err != nil {
				t.Fatal(err)
			}
		}
	}
	eve := s.open("app", "eve", "e")
	for _, dst := range []string{"bob", `\u0000bob`, `peerjs\u0000bob`, `peerjs\u0000app\u0000peerjs\u0000bob`, `app\u0000peerjs\u0000bob`} {
		eve.Send(`{"type":"OFFER","dst":"` + dst + `","payload":{"from":"eve"}}`)
	}
	other.Want(`{"type":"OFFER","src":"eve","dst":"bob","payload":{"from":"eve"}}`)
	eve.still("eve")
	bob.still("bob")
	other.still("bob")
	s.refused("bad-message", 4)
}

// Messages that wait for recipients that are not connected are limited per recipient, sender and address, without harm to
// other clients.
func TestWaitingLimits(t *testing.T) {
	s := serveFor(t, time.Hour, func(l *signal.Limits) { l.MessagesPerSecond, l.MessageBurst = 1e6, 1_000_000 })
	al, eve := s.open("peerjs", "al", "a"), s.open("peerjs", "eve", "e")
	const sent = 500
	for i := range sent {
		eve.Send(fmt.Sprintf(`{"type":"CANDIDATE","dst":"ghost%d","payload":{}}`, i%100))
		al.Send(`{"type":"CANDIDATE","dst":"bob","payload":{}}`)
	}
	al.still("al")
	eve.still("eve")
	s.counted("icebox_peerjs_kept_total", "outcome", "refused", 2*(sent-64))
	bob := s.open("peerjs", "bob", "b")
	for range 64 {
		bob.Want(`{"type":"CANDIDATE","src":"al","dst":"bob","payload":{}}`)
	}
	bob.still("bob")
	s.counted("icebox_peerjs_kept_total", "outcome", "delivered", 64)
	// The bytes are limited too. The sender of an offer that is refused is sent EXPIRE at once.
	big := fmt.Sprintf(`{"type":"OFFER","dst":"ghost","payload":{"x":%q}}`, strings.Repeat("x", 100<<10))
	for range 3 {
		bob.Send(big)
	}
	bob.Want(`{"type":"EXPIRE","src":"ghost","dst":"bob"}`)
	// One address may have eight times as many messages waiting as one sender. Other addresses are not affected.
	refused := s.count("icebox_peerjs_kept_total", "outcome", "refused")
	for i := range 8 {
		p := s.open("peerjs", fmt.Sprint("flood", i), "t")
		for j := range 64 {
			p.Send(fmt.Sprintf(`{"type":"CANDIDATE","dst":"ghost%d","payload":{}}`, j))
		}
		p.still(fmt.Sprint("flood", i))
	}
	s.counted("icebox_peerjs_kept_total", "outcome", "refused", refused+66) // 64 of eve's messages and two of bob's already wait
	far, _ := s.dial("/peerjs", url.Values{"key": {"peerjs"}, "id": {"far"}, "token": {"f"}}, http.Header{"X-Forwarded-For": {"192.0.2.1"}, "Origin": {s.url}})
	far.Want(`{"type":"OPEN"}`)
	far.Send(`{"type":"CANDIDATE","dst":"ghost1000","payload":{}}`)
	far.still("far")
	s.counted("icebox_peerjs_kept_total", "outcome", "refused", refused+66)
}

// Waiting messages are delivered in order after OPEN. If the recipient does not connect, each sender gets one EXPIRE per
// recipient.
func TestWaitingMessages(t *testing.T) {
	s := serve(t)
	alice, carol := s.open("peerjs", "alice", "a"), s.open("peerjs", "carol", "c")
	begun := time.Now()
	for range 3 {
		alice.Send(`{"type":"CANDIDATE","dst":"ghost","payload":{}}`)
	}
	carol.Send(`{"type":"OFFER","dst":"ghost","payload":{}}`)
	carol.Send(`{"type":"OFFER","dst":"ghost2","payload":{}}`)
	alice.Send(candidate)
	alice.Send(offer)
	alice.still("alice")
	bob := s.open("peerjs", "bob", "b")
	bob.Want(fromAlice(candidate), fromAlice(offer))
	alice.Want(`{"type":"EXPIRE","src":"ghost","dst":"alice"}`)
	if took := time.Since(begun); took < 5*time.Second {
		t.Errorf("expired after %v", took)
	}
	carol.Want(`{"type":"EXPIRE","src":"ghost","dst":"carol"}`, `{"type":"EXPIRE","src":"ghost2","dst":"carol"}`)
	for id, p := range map[string]*peer{"alice": alice, "bob": bob, "carol": carol} {
		p.still(id)
	}
	s.counted("icebox_peerjs_kept_total", "outcome", "expired", 5)
	s.counted("icebox_peerjs_kept_total", "outcome", "delivered", 2)
}

func TestConnectionLimitIsAnHTTPStatus(t *testing.T) {
	s := serve(t, func(l *signal.Limits) { l.ConnsPerAddr = 1 })
	s.open("peerjs", "alice", "a")
	if _, status := s.dial("/peerjs/peerjs", url.Values{"key": {"k"}, "id": {"i"}, "token": {"t"}}, nil); status != 429 {
		t.Errorf("status %d", status)
	}
	s.counted("icebox_http_refused_total", "reason", "connections_per_address", 1)
}

// A refused connection no longer counts against the limit once it has ended.
func TestRefusedConnectionsAreReleased(t *testing.T) {
	s := serve(t, func(l *signal.Limits) { l.ConnsPerAddr = 2 })
	s.open("peerjs", "alice", "a")
	for range 3 {
		p := s.connect("peerjs", "", "")
		p.MustNext() // the reason
		p.WantClose(gorilla.ClosePolicyViolation)
		s.counted("icebox_http_websockets", "", "", 1)
	}
}

// A shutdown asks clients to reconnect, drops waiting messages at once, and refuses new connections.
func TestShutdown(t *testing.T) {
	s := serve(t)
	alice := s.open("peerjs", "alice", "a")
	alice.Send(`{"type":"OFFER","dst":"ghost","payload":{}}`)
	alice.still("alice")
	signaltest.ShutDown(t, s.hub)
	s.counted("icebox_peerjs_kept_total", "outcome", "expired", 0) // the shutdown did not wait until messages expire
	alice.WantClose(gorilla.CloseServiceRestart)
	if _, status := s.dial("/peerjs/peerjs", url.Values{}, nil); status != 503 {
		t.Errorf("a new connection: %d, want 503", status)
	}
}
