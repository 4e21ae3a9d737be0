package main

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pion/turn/v3"

	"icebox/cmd/icebox/statedir"
)

// minted is the output of `icebox credential --json`.
type minted struct {
	ICEServers []struct {
		URLs                 []string
		Username, Credential string
	}
}

func mint(t *testing.T, h home, more ...string) minted {
	t.Helper()
	r := icebox(t, nil, h.args("credential", append(more, "Al.ice@X", "--json")...)...)
	var m minted
	if r.status != 0 || json.Unmarshal([]byte(r.stdout), &m) != nil {
		t.Fatalf("status %d\n%s%s", r.status, r.stdout, r.stderr)
	}
	return m
}

// allocate makes an allocation at server over conn.
func allocate(t *testing.T, conn net.PacketConn, server, username, password string) (relay net.PacketConn, release func(), err error) {
	t.Helper()
	client, err := turn.NewClient(&turn.ClientConfig{TURNServerAddr: server, Conn: conn, Username: username, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Listen(); err != nil {
		t.Fatal(err)
	}
	relay, err = client.Allocate()
	release = func() {
		if relay != nil {
			_ = relay.Close()
		}
		client.Close()
		_ = conn.Close()
	}
	return relay, release, err
}

func udpClient(t *testing.T) net.PacketConn {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCredentialAllocates: the credential that the command prints works over every transport in its URIs, also after a restart.
func TestCredentialAllocates(t *testing.T) {
	h := newHome(t, strings.Replace(ephemeral, `"127.0.0.1:0"}]`, `"127.0.0.1:0"}, {address: "127.0.0.1:0", transports: [tls]}]`, 1)+"tls: self-signed\n")
	p := serve(t, h)
	text := icebox(t, nil, h.args("credential", "Al.ice@X", "--ttl", "5m")...).stdout
	for _, want := range []string{"username  ", ":Al%2Eice@X.", "password  ", "(in 5m0s)", `{"iceServers":[`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	m := mint(t, h)
	server := m.ICEServers[len(m.ICEServers)-1]
	p.signal(syscall.SIGTERM)
	p.exit()
	p = serve(t, h)
	for kind, dial := range map[string]func(string) (net.PacketConn, error){
		"turn:127.0.0.1:H?transport=udp": func(string) (net.PacketConn, error) { return udpClient(t), nil },
		"turn:127.0.0.1:H?transport=tcp": func(addr string) (net.PacketConn, error) {
			c, err := net.Dial("tcp", addr)
			return turn.NewSTUNConn(c), err
		},
		"turns:127.0.0.1:H?transport=tcp": func(addr string) (net.PacketConn, error) {
			c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) // the test for names is in package certs
			return turn.NewSTUNConn(c), err
		},
	} {
		addr := "127.0.0.1:" + p.turn(kind)
		conn, err := dial(addr)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		relay, release, err := allocate(t, conn, addr, server.Username, server.Credential)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		} else if host, _, _ := net.SplitHostPort(relay.LocalAddr().String()); host != "127.0.0.1" {
			t.Errorf("%s: relayed from %v, want the address that the client reached", kind, relay.LocalAddr())
		}
		release()
	}
}

// TestDrain: a stopping daemon waits until running calls have ended and takes no new ones.
func TestDrain(t *testing.T) {
	h := newHome(t, ephemeral+"shutdown: {drain: 1h}\n")
	p := serve(t, h)
	m := mint(t, h)
	username, password := m.ICEServers[len(m.ICEServers)-1].Username, m.ICEServers[len(m.ICEServers)-1].Credential
	addr := "127.0.0.1:" + p.turn("turn:127.0.0.1:H?transport=udp")
	_, release, err := allocate(t, udpClient(t), addr, username, password)
	if err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGTERM)
	p.awaitNotify("STOPPING=1")
	p.find(`draining the relay" sessions=1`)
	if status, body := get(t, p.admin()+"/readyz"); status != 503 || !strings.Contains(body, `"ready":false`) {
		t.Errorf("/readyz: %d %s", status, body)
	}
	second := mint(t, h).ICEServers[1]
	if _, release, err := allocate(t, udpClient(t), addr, second.Username, second.Credential); err == nil {
		t.Error("a stopping daemon took a new allocation")
		release()
	}
	release()
	if status := p.exit(); status != 0 {
		t.Errorf("status %d", status)
	}
}

func TestDrainEndsAtItsDeadline(t *testing.T) {
	h := newHome(t, ephemeral+"shutdown: {drain: 10ms}\n")
	p := serve(t, h)
	server := mint(t, h).ICEServers[1]
	_, release, err := allocate(t, udpClient(t), "127.0.0.1:"+p.turn("turn:127.0.0.1:H?transport=udp"), server.Username, server.Credential)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	p.signal(syscall.SIGTERM)
	if status := p.exit(); status != 0 {
		t.Errorf("status %d", status)
	}
	p.find(`ended calls that were still running" sessions=1`)
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	h := newHome(t, ephemeral+"shutdown: {drain: 1h}\n")
	p := serve(t, h)
	server := mint(t, h).ICEServers[1]
	_, release, err := allocate(t, udpClient(t), "127.0.0.1:"+p.turn("turn:127.0.0.1:H?transport=udp"), server.Username, server.Credential)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	p.signal(syscall.SIGTERM)
	p.find(`draining the relay" sessions=1`)
	began := time.Now()
	p.signal(syscall.SIGINT)
	if status := p.exit(); status != 1 || time.Since(began) > patience/2 {
		t.Errorf("status %d after %v", status, time.Since(began))
	}
	p.find(`icebox: ended by a second signal, interrupt, before the shutdown was done`)
}

// TestNoSecretInOutput: the daemon prints no secret, even at the level debug, with clients that use right and wrong passwords.
func TestNoSecretInOutput(t *testing.T) {
	h := newHome(t, ephemeral+`
credentials: {secrets: [{secret: confidential-shared-secret}]}
signal: {access: key, keys: [{name: web, key: confidential-api-key}]}
tls: self-signed
`)
	text, err := os.ReadFile(h.config)
	if err != nil {
		t.Fatal(err)
	}
	users := `users: [{name: alice, password: confidential-password}, {name: bob, key: 636f6e666964656e7469616c54574f21}]`
	if err := os.WriteFile(h.config, []byte(strings.Replace(string(text), "turn:\n", "turn:\n  "+users+"\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := serve(t, h, "--log-level", "debug")
	server := mint(t, h).ICEServers[1]
	addr := "127.0.0.1:" + p.turn("turn:127.0.0.1:H?transport=udp")
	for username, password := range map[string]string{
		server.Username: server.Credential, "alice": "confidential-password", "bob": "confidential-wrong",
		"4102444800:x": "confidential-expired-far-ahead",
	} {
		_, release, _ := allocate(t, udpClient(t), addr, username, password)
		release()
	}
	get(t, p.pages()+"/ws?key=confidential-api-key")
	get(t, p.pages()+"/?key=confidential-wrong-key")
	p.signal(syscall.SIGTERM)
	if status := p.exit(); status != 0 {
		t.Errorf("status %d", status)
	}
	printed := p.out.String() + icebox(t, nil, h.args("check")...).stdout
	secret, err := os.ReadFile(filepath.Join(h.state, statedir.MintingSecret))
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{"confidential", "636f6e66", server.Credential, strings.TrimSpace(string(secret))[:16], "PRIVATE KEY"} {
		if strings.Contains(printed, hidden) {
			t.Errorf("%q was printed:\n%s", hidden, printed)
		}
	}
}
