package classic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"

	"icebox/signal"
	"icebox/signal/signaltest"
)

// dialSilent signs in and then neither reads nor answers pings, like a computer that was put to sleep.
func (s *server) dialSilent(name string) *signaltest.Conn {
	s.t.Helper()
	c := signaltest.MustDial(s.t, s.dialer, s.url)
	c.Send(`{"type":"login","name":"` + name + `"}`)
	if data := c.MustNext(); !bytes.Contains(data, []byte(`"success":true`)) {
		s.t.Fatalf("got %s", data)
	}
	return c
}

// waitForName tries to sign in until the name is free.
func (s *server) waitForName(name string) {
	s.t.Helper()
	signaltest.Until(s.t, name+" becomes free", func() bool {
		p := s.dial()
		p.Sendf(`{"type":"login","name":%s}`, quote(name))
		if m := p.receive("login"); *m.Success {
			return true
		}
		p.leave()
		return false
	})
}

func TestNameOfAHalfOpenConnectionIsTakenOver(t *testing.T) {
	s := start(t, Options{})
	old := s.dialSilent("al")
	s.login("al") // the hub's own tests check how long that takes
	old.WantClose(gorilla.ClosePolicyViolation)
}

func TestNameOfALivingConnectionIsNotTakenOver(t *testing.T) {
	s := start(t, Options{})
	al := s.login("al")
	for range 3 {
		eve := s.dial()
		eve.Send(`{"type":"login","name":"al"}`)
		if m := eve.receive("login"); *m.Success || m.Code != "name-taken" {
			t.Fatalf("login %+v", m)
		}
	}
	al.sync()
}

// A client that does not answer pings is ended, and its name becomes free.
func TestPingsEndHalfOpenConnection(t *testing.T) {
	s := start(t, Options{}, func(o *signal.Options, _ *signal.Limits) {
		o.PingEvery, o.PongWithin = 3*time.Second, 2*time.Second
	})
	s.dialSilent("al")
	bo := s.login("bo") // reads, so it answers pings
	s.waitForName("al")
	bo.sync()
}

// A client that does not read is cut off, and never delays messages to other clients.
func TestSlowReaderIsCutOff(t *testing.T) {
	s := start(t, Options{}, fast, func(o *signal.Options, _ *signal.Limits) { o.WriteWait = 300 * time.Millisecond })
	s.dialSilent("bo")
	al, cy := s.inCall("al", "cy")
	offer := `{"type":"offer","name":"bo","offer":"` + strings.Repeat("x", 200<<10) + `"}`
	for range 1000 {
		al.Send(offer)
		al.say("candidate", "candidate", candidate, "cy")
		cy.Want(`{"type":"candidate","candidate":` + candidate + `}`) // is not delayed by bo
		if al.receivedAny("leave", "peer-offline") {
			s.login("bo")
			return
		}
	}
	t.Fatal("bo was not cut off")
}

// receivedAny makes a round trip to the server and reports whether a message with one of these types or codes arrived first.
func (p *peer) receivedAny(any ...string) (was bool) {
	p.TB.Helper()
	p.Send(`{"type":"are-you-there"}`)
	for {
		var m message
		if err := json.Unmarshal(p.MustNext(), &m); err != nil {
			p.TB.Fatal(err)
		}
		if m.Code == signal.ErrUnknownType.Code {
			return was
		}
		was = was || slices.Contains(any, m.Type) || slices.Contains(any, m.Code)
	}
}

func TestSecondLoginOnOneConnection(t *testing.T) {
	s := start(t, Options{})
	al, bo := s.inCall("al", "bo")
	for range 2 {
		al.Send(`{"type":"login","name":"al"}`)
		if m := al.receive("login"); !*m.Success || len(m.ICEServers) == 0 {
			t.Fatalf("the same name again: %+v", m)
		}
	}
	al.Send(`{"type":"login","name":"bo"}`)
	if m := al.receive("login"); *m.Success {
		t.Fatal("al signed in with a name that is taken")
	}
	checkCallWorks(al, bo)
	al.Send(`{"type":"login","name":"alice"}`)
	if m := al.receive("login"); !*m.Success {
		t.Fatalf("another name: %+v", m)
	}
	checkCallWorks(al, bo)
	s.login("al") // the name is free again
	checkCallWorks(al, bo)
	cy := s.login("cy")
	cy.Send(`{"type":"offer","offer":1,"name":"alice"}`)
	al.Want(`{"type":"offer","offer":1,"name":"cy"}`)
}

// The callee ends before it has answered, and then the caller does. Both can sign in again.
func TestBothEndBeforeAnswer(t *testing.T) {
	s := start(t, Options{})
	al, bo := &page{peer: s.login("al")}, s.login("bo")
	al.call("bo")
	bo.receive("offer")
	bo.leave()
	al.Want(`{"type":"leave"}`)
	al.say("candidate", "candidate", candidate, "") // browsers go on gathering candidates
	al.sync()
	al.leave()
	s.login("al").sync()
	s.login("bo").sync()
}

// When a page is reloaded during a call, its peer is told that it left before it receives a new offer.
func TestReloadDuringACall(t *testing.T) {
	s := start(t, Options{}, fast)
	for range 20 {
		al, bo := s.inCall("al", "bo")
		_ = al.Close()
		again := s.login("al")
		again.Send(`{"type":"offer","offer":1,"name":"bo"}`)
		bo.Want(`{"type":"leave"}`)
		bo.Want(`{"type":"offer","offer":1,"name":"al"}`)
		again.leave()
		bo.Want(`{"type":"leave"}`)
		bo.leave()
	}
}

func TestOverTLS(t *testing.T) {
	s := startTLS(t, Options{}, fast, func(o *signal.Options, _ *signal.Limits) { o.WriteWait = 300 * time.Millisecond })
	al, bo := s.inCall("al", "bo")
	checkCallWorks(al, bo)
	cy := s.dialSilent("cy")
	for !al.receivedAny("leave", "peer-offline") {
		al.Sendf(`{"type":"offer","name":"cy","offer":%s}`, quote(strings.Repeat("x", 200<<10)))
	}
	_ = cy.Close()
	if err := s.hub.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	bo.SkipToClose(gorilla.CloseServiceRestart)
}

// A shutdown closes connections with a code that asks clients to reconnect.
func TestShutdownAsksClientsToReconnect(t *testing.T) {
	s := start(t, Options{})
	al, bo := s.inCall("al", "bo")
	if err := s.hub.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	al.SkipToClose(gorilla.CloseServiceRestart)
	bo.SkipToClose(gorilla.CloseServiceRestart)
	late := s.dial()
	late.SkipToClose(gorilla.CloseServiceRestart)
}

func TestBrowsersGetTheSubprotocolTheyAskFor(t *testing.T) {
	s := start(t, Options{})
	ws := signaltest.MustDial(t, &gorilla.Dialer{Subprotocols: []string{"json", "other"}}, s.url)
	if ws.Subprotocol() != "json" {
		t.Errorf("got %q", ws.Subprotocol())
	}
}

func TestCompressionIsNotNegotiated(t *testing.T) {
	s := start(t, Options{})
	d := gorilla.Dialer{EnableCompression: true}
	ws, resp, err := d.Dial(s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.Close() }()
	if got := resp.Header.Get("Sec-Websocket-Extensions"); got != "" {
		t.Errorf("extensions %q", got)
	}
}

// Several hundred clients connect, call each other, and end in different ways, all at the same time.
func TestManyClientsComeAndGo(t *testing.T) {
	const clients, rounds = 300, 4
	s := start(t, Options{}, fast)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for range rounds {
				if err := s.visit(fmt.Sprint("client ", i), fmt.Sprint("client ", rand.IntN(clients))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	s.login("client 0").sync() // the hub still works, and the name is free again
}

// visit connects as a client, offers a call, and disconnects in one of several ways.
func (s *server) visit(name, other string) error {
	ws, _, err := s.dialer.Dial(s.url, nil)
	if err != nil {
		return err
	}
	defer func() { _ = ws.Close() }()
	_ = ws.SetReadDeadline(time.Now().Add(time.Minute))
	for _, text := range []string{
		`{"type":"login","name":"` + name + `"}`,
		`{"type":"offer","offer":{},"name":"` + other + `"}`,
		`{"type":"candidate","candidate":{},"name":"` + other + `"}`,
		`{"type":"end"}`,
	} {
		if err := ws.WriteMessage(gorilla.TextMessage, []byte(text)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for {
		_, data, err := ws.ReadMessage()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if bytes.Contains(data, []byte(`"success":false`)) {
			return fmt.Errorf("%s: %s", name, data)
		}
		if bytes.Contains(data, []byte("Command not found: end")) {
			break
		}
	}
	switch rand.IntN(3) {
	case 0: // hangs up and closes the connection properly
		_ = ws.WriteMessage(gorilla.TextMessage, []byte(`{"type":"leave","name":"`+other+`"}`))
		_ = ws.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(1001, ""), time.Now().Add(signaltest.Patience))
		_, _, _ = ws.ReadMessage()
	case 1: // closes the TCP connection
	case 2: // closes the TCP connection in the middle of a frame
		_, _ = ws.NetConn().Write([]byte{0x81, 0xfe, 0x10})
	}
	return nil
}
