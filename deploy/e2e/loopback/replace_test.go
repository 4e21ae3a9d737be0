package loopback

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"icebox/deploy/e2e/classic"
	"icebox/deploy/e2e/server"
)

// TestReplace starts coturn and a tutorial's signalling server on Node.js, uses both with ordinary
// clients, stops them, and starts icebox on the same ports with the same shared secret. The same
// clients must still work.
func TestReplace(t *testing.T) {
	t.Parallel()
	ports, ws := server.FreePorts(t), server.FreePort(t)
	peer := echo(t)

	coturn, node := server.StartCoturn(t, ports, secret, files), server.StartClassic(t, ws)
	t.Run("before", func(t *testing.T) { clients(t, ports, ws, peer) })
	coturn.Stop()
	node.Stop()

	startBox(t, ports, ws, "")
	t.Run("after", func(t *testing.T) { clients(t, ports, ws, peer) })
}

// TestReplaceByImport does the same with the configuration that `icebox import-coturn` creates from
// coturn's. The test adds what the import can't know: coturn has no limits per address and no
// signalling.
func TestReplaceByImport(t *testing.T) {
	t.Parallel()
	ports, ws := server.FreePorts(t), server.FreePort(t)
	peer := echo(t)

	coturn, conf := server.StartCoturnFile(t, ports, secret, files)
	coturn.Stop()
	imported, err := exec.Command(server.Binary(t), "import-coturn", conf, "--output", "-").Output()
	if err != nil {
		t.Fatalf("import: %v", err)
	}
	text := strings.Replace(string(imported), "\nturn:\n", "\nturn:\n  limits: {allocations_per_user: 1000, allocations_per_address: 1000, connections_per_address: 1000}\n", 1)
	server.StartIcebox(t, server.IceboxOptions{Config: text + fmt.Sprintf(`
shutdown: {drain: 100ms}
http: {listen: [{address: "127.0.0.1:%d", classic: {greeting: Hello world, unknown_command: Command not found}}]}`, ws)})
	clients(t, ports, ws, peer)
}

// clients runs what a site runs against its relay and its signalling server.
func clients(t *testing.T, p server.Ports, ws int, peer []string) {
	for name, flags := range map[string][]string{"udp": {"-n", "10"}, "tcp": {"-t", "-n", "10"}, "tls": oneByOne, "dtls": {"-S", "-n", "10"}} {
		t.Run("turn over "+name, func(t *testing.T) {
			t.Parallel()
			uclient(t, 8, join(flags, peer, []string{"-X", "-c"}, login("127.0.0.1", p, flags, secret))...)
		})
	}
	t.Run("stun", func(t *testing.T) {
		t.Parallel()
		stunclient(t, "127.0.0.1", p)
	})
	t.Run("signalling", func(t *testing.T) {
		t.Parallel()
		conversation(t, fmt.Sprintf("ws://127.0.0.1:%d/", ws), classic.Options{})
	})
}

// conversation is a complete call between two clients of the classic protocol, with one message
// that the server does not know.
func conversation(t *testing.T, url string, o classic.Options) {
	alice, bob := classic.Dial(t, url, o), classic.Dial(t, url, o)
	alice.Login(t, "alice")
	bob.Login(t, "bob")
	send := func(c *classic.Client, m classic.Message) {
		t.Helper()
		if err := c.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	send(alice, classic.Message{Type: "dance"})
	if m := alice.Expect(t, "error"); m.Message != "Command not found: dance" {
		t.Errorf("the reply to an unknown command is %q", m.Message)
	}
	body := func(s string) json.RawMessage { return json.RawMessage(`{"n":"` + s + `"}`) }
	send(alice, classic.Message{Type: "offer", Offer: body("offer"), Name: "bob"})
	if m := bob.Expect(t, "offer"); m.Name != "alice" || string(m.Offer) != string(body("offer")) {
		t.Errorf("bob received the offer %+v", m)
	}
	send(bob, classic.Message{Type: "answer", Answer: body("answer"), Name: "alice"})
	if m := alice.Expect(t, "answer"); string(m.Answer) != string(body("answer")) {
		t.Errorf("alice received the answer %+v", m)
	}
	send(alice, classic.Message{Type: "candidate", Candidate: body("a"), Name: "bob"})
	send(bob, classic.Message{Type: "candidate", Candidate: body("b"), Name: "alice"})
	if m := bob.Expect(t, "candidate"); string(m.Candidate) != string(body("a")) {
		t.Errorf("bob's candidate is %+v", m)
	}
	if m := alice.Expect(t, "candidate"); string(m.Candidate) != string(body("b")) {
		t.Errorf("alice's candidate is %+v", m)
	}
	send(bob, classic.Message{Type: "leave", Name: "alice"})
	alice.Expect(t, "leave")
	if err := alice.Close(); err != nil { // she comes back under the same name, as after a page reload
		t.Error(err)
	}
	classic.Dial(t, url, o).LoginSoon(t, "alice")
}
