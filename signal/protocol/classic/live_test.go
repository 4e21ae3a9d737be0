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
)

// dialSilent signs in and then neither reads nor answers pings, as a computer that was put to sleep.
func (s *server) dialSilent(name string) *gorilla.Conn {
	s.t.Helper()
	ws, _, err := s.dialer.Dial(s.url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = ws.Close() })
	if err := ws.WriteMessage(gorilla.TextMessage, []byte(`{"type":"login","name":"`+name+`"}`)); err != nil {
		s.t.Fatal(err)
	}
	if _, data, err := ws.ReadMessage(); err != nil || !bytes.Contains(data, []byte(`"success":true`)) {
		s.t.Fatalf("%s %v", data, err)
	}
	return ws
}

// waitForName signs in again and again until the name is free.
func (s *server) waitForName(name string) {
	s.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		p := s.dial()
		p.send(`{"type":"login","name":%s}`, quote(name))
		if m := p.receive("login"); *m.Success {
			return
		}
		p.leave()
	}
	s.t.Fatalf("%q never became free", name)
}

func TestNameOfAHalfOpenConnectionIsTakenOver(t *testing.T) {
	s := start(t, Options{})
	old := s.dialSilent("al")
	s.login("al") // the hub's own tests check how long that takes
	_ = old.SetReadDeadline(time.Now().Add(patience))
	if _, _, err := old.ReadMessage(); !gorilla.IsCloseError(err, gorilla.ClosePolicyViolation) {
		t.Errorf("the old connection ended with %v", err)
	}
}

func TestNameOfALivingConnectionIsNotTakenOver(t *testing.T) {
	s := start(t, Options{})
	al := s.login("al")
	for range 3 {
		eve := s.dial()
		eve.send(`{"type":"login","name":"al"}`)
		if m := eve.receive("login"); *m.Success || m.Code != "name-taken" {
			t.Fatalf("login %+v", m)
		}
	}
	al.sync()
}

func TestHalfOpenConnectionIsFoundByPings(t *testing.T) {
	s := start(t, Options{}, func(o *signal.Options, _ *signal.Limits) {
		o.PingEvery, o.PongWithin = 3*time.Second, 2*time.Second
	})
	s.dialSilent("al")
	bo := s.login("bo") // reads, so it answers
	s.waitForName("al")
	bo.sync()
}

func TestReaderThatDoesNotReadIsCutOff(t *testing.T) {
	s := start(t, Options{}, fast, func(o *signal.Options, _ *signal.Limits) { o.WriteWait = 300 * time.Millisecond })
	s.dialSilent("bo")
	al, cy := s.inCall("al", "cy")
	offer := `{"type":"offer","name":"bo","offer":"` + strings.Repeat("x", 200<<10) + `"}`
	for range 1000 {
		al.raw(gorilla.TextMessage, []byte(offer))
		al.say("candidate", "candidate", candidate, "cy")
		cy.exact(`{"type":"candidate","candidate":` + candidate + `}`) // never waits for bo
		if al.receivedAny("leave", "peer-offline") {
			s.login("bo")
			return
		}
	}
	t.Fatal("bo is still there")
}

// receivedAny makes a round trip and reports whether a message of one of these types or codes came before it.
func (p *peer) receivedAny(any ...string) (was bool) {
	p.t.Helper()
	p.send(`{"type":"are-you-there"}`)
	for {
		var m message
		if err := json.Unmarshal(p.next(), &m); err != nil {
			p.t.Fatal(err)
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
		al.send(`{"type":"login","name":"al"}`)
		if m := al.receive("login"); !*m.Success || len(m.ICEServers) == 0 {
			t.Fatalf("the same name again: %+v", m)
		}
	}
	al.send(`{"type":"login","name":"bo"}`)
	if m := al.receive("login"); *m.Success {
		t.Fatal("a name that is taken was given")
	}
	checkCallWorks(al, bo)
	al.send(`{"type":"login","name":"alice"}`)
	if m := al.receive("login"); !*m.Success {
		t.Fatalf("another name: %+v", m)
	}
	checkCallWorks(al, bo)
	s.login("al") // is free again
	checkCallWorks(al, bo)
	cy := s.login("cy")
	cy.send(`{"type":"offer","offer":1,"name":"alice"}`)
	al.exact(`{"type":"offer","offer":1,"name":"cy"}`)
}

// The callee goes before it has answered, then the caller: this ended one of the tutorials' servers.
func TestBothGoBeforeAnAnswer(t *testing.T) {
	s := start(t, Options{})
	al, bo := &page{peer: s.login("al")}, s.login("bo")
	al.call("bo")
	bo.receive("offer")
	bo.leave()
	al.exact(`{"type":"leave"}`)
	al.say("candidate", "candidate", candidate, "") // still trickles
	al.sync()
	al.leave()
	s.login("al").sync()
	s.login("bo").sync()
}

// A page that is reloaded during a call hangs up before it can call again.
func TestReloadDuringACall(t *testing.T) {
	s := start(t, Options{}, fast)
	for range 20 {
		al, bo := s.inCall("al", "bo")
		_ = al.ws.Close()
		again := s.login("al")
		again.send(`{"type":"offer","offer":1,"name":"bo"}`)
		bo.exact(`{"type":"leave"}`)
		bo.exact(`{"type":"offer","offer":1,"name":"al"}`)
		again.leave()
		bo.exact(`{"type":"leave"}`)
		bo.leave()
	}
}

func TestOverTLS(t *testing.T) {
	s := startTLS(t, Options{}, fast, func(o *signal.Options, _ *signal.Limits) { o.WriteWait = 300 * time.Millisecond })
	al, bo := s.inCall("al", "bo")
	checkCallWorks(al, bo)
	cy := s.dialSilent("cy")
	for !al.receivedAny("leave", "peer-offline") {
		al.send(`{"type":"offer","name":"cy","offer":%s}`, quote(strings.Repeat("x", 200<<10)))
	}
	_ = cy.Close()
	if err := s.hub.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	bo.closed(gorilla.CloseServiceRestart)
}

func TestShutdownTellsClientsToComeBack(t *testing.T) {
	s := start(t, Options{})
	al, bo := s.inCall("al", "bo")
	if err := s.hub.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	al.closed(gorilla.CloseServiceRestart)
	bo.closed(gorilla.CloseServiceRestart)
	late := s.dial()
	late.closed(gorilla.CloseServiceRestart)
}

func TestBrowsersGetTheSubprotocolTheyAskFor(t *testing.T) {
	s := start(t, Options{})
	d := gorilla.Dialer{Subprotocols: []string{"json", "other"}}
	ws, _, err := d.Dial(s.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.Close() }()
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

// Several hundred clients come, call each other, and go in every way there is.
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
	s.login("client 0").sync() // the hub is alive, and the name free again
}

// visit is one client's life, which ends in one of several ways.
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
	case 0: // hangs up and says goodbye
		_ = ws.WriteMessage(gorilla.TextMessage, []byte(`{"type":"leave","name":"`+other+`"}`))
		_ = ws.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(1001, ""), time.Now().Add(patience))
		_, _, _ = ws.ReadMessage()
	case 1: // just goes
	case 2: // goes in the middle of a frame
		_, _ = ws.NetConn().Write([]byte{0x81, 0xfe, 0x10})
	}
	return nil
}
