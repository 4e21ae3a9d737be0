package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"
	"github.com/pion/stun/v2"
)

// reply is the response to a sign-in.
type reply struct {
	Type       string
	Success    bool
	ICEServers []struct {
		URLs                 []string
		Username, Credential string
	}
}

func connect(t *testing.T, url string, header http.Header) (*gorilla.Conn, *http.Response, error) {
	t.Helper()
	dialer := &gorilla.Dialer{HandshakeTimeout: patience, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	c, r, err := dialer.Dial(url, header)
	if err == nil {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		_ = c.SetWriteDeadline(time.Now().Add(patience))
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, r, err
}

func signIn(t *testing.T, url, name string) (*gorilla.Conn, reply) {
	t.Helper()
	c, _, err := connect(t, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WriteJSON(map[string]string{"type": "login", "name": name}); err != nil {
		t.Fatal(err)
	}
	var r reply
	if err := c.ReadJSON(&r); err != nil {
		t.Fatal(err)
	}
	return c, r
}

// TestSignInRelays: a client signs in, and relays with the credential from the sign-in.
func TestSignInRelays(t *testing.T) {
	p := serve(t, newHome(t, ephemeral))
	alice, r := signIn(t, p.find(`(ws://\S+/ws)`), "alice")
	if r.Type != "login" || !r.Success || len(r.ICEServers) != 2 {
		t.Fatalf("got %+v", r)
	}
	addr := "127.0.0.1:" + p.turn("turn:127.0.0.1:H?transport=udp")
	if want := "turn:" + addr + "?transport=udp"; r.ICEServers[1].URLs[0] != want {
		t.Errorf("TURN at %v, want %s first", r.ICEServers[1].URLs, want)
	}
	_, release, err := allocate(t, udpClient(t), addr, r.ICEServers[1].Username, r.ICEServers[1].Credential)
	if err != nil {
		t.Error(err)
	}
	release()

	_, bob := signIn(t, p.find(`(ws://\S+/ws)`), "bob")
	if bob.ICEServers[1].Username == r.ICEServers[1].Username {
		t.Error("two sign-ins share a credential")
	}
	p.signal(syscall.SIGTERM)
	for {
		if _, _, err = alice.ReadMessage(); err != nil {
			break
		}
	}
	if !gorilla.IsCloseError(err, gorilla.CloseServiceRestart, gorilla.CloseGoingAway) {
		t.Errorf("a stopping daemon closed the connection with %v", err)
	}
	if status := p.exit(); status != 0 {
		t.Errorf("status %d", status)
	}
}

func TestAccessByKey(t *testing.T) {
	h := newHome(t, ephemeral+"signal: {access: key, keys: [{name: web, key: 0123456789abcdef}]}\n")
	p := serve(t, h)
	url := p.find(`(ws://\S+/ws)`)
	for query, want := range map[string]int{"": 401, "?key=0123456789abcdeX": 403} {
		if _, r, err := connect(t, url+query, nil); err == nil || r == nil || r.StatusCode != want {
			t.Errorf("%q: got %v, want status %d", query, err, want)
		}
	}
	if _, r := signIn(t, url+"?key=0123456789abcdef", "alice"); !r.Success {
		t.Errorf("the right key: %+v", r)
	}
	var answer struct{ Username, Password string }
	if status, body := get(t, p.pages()+"/ice?key=0123456789abcdef"); status != 200 || json.Unmarshal([]byte(body), &answer) != nil || answer.Password == "" {
		t.Errorf("/ice: %d %s", status, body)
	}
	if status, body := get(t, p.pages()+"/ice"); status == 200 {
		t.Errorf("/ice without a key: %s", body)
	}
}

// TestKeySetThatHangs: if the server of the token keys does not respond, the daemon is ready without the keys. It logs the error
// later.
func TestKeySetThatHangs(t *testing.T) {
	release := make(chan struct{})
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer keys.Close()
	h := newHome(t, ephemeral+fmt.Sprintf("signal: {access: jwt, jwt: {jwks: %q}}\n", keys.URL))
	p := serve(t, h)
	if text := p.out.String(); strings.Contains(text, "nobody can sign in") {
		t.Errorf("the daemon was ready only after it had given up on the keys:\n%s", text)
	}
	close(release)
	p.find(`nobody can sign in until the keys can be fetched`)
	p.signal(syscall.SIGTERM)
	if status := p.exit(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

func TestEveryListener(t *testing.T) {
	h := newHome(t, `
tls: self-signed
turn: {listen: []}
http:
  listen:
    - {address: "127.0.0.1:0", stun: true, classic: {greeting: Hello world, unknown_command: Unrecognized command}}
    - {address: "[::1]:0", tls: true}
admin: {address: "127.0.0.1:0"}
`)
	p := serve(t, h)
	c, _, err := connect(t, p.find(`(ws://127\S+/ws)`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, text, err := c.ReadMessage(); err != nil || string(text) != "Hello world" {
		t.Errorf("the greeting is %q, %v", text, err)
	}
	if _, r := signIn(t, p.find(`(wss://\S+/ws)`), "alice"); !r.Success || len(r.ICEServers) > 1 {
		t.Errorf("got %+v, want no TURN, which is not served", r)
	}
	page, err := (&http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}).Get(p.find(`(https://\S+/) `))
	if err != nil || page.StatusCode != 200 {
		t.Fatalf("the page over https: %v, %v", page, err)
	}
	_ = page.Body.Close()

	u := strings.TrimPrefix(p.find(`(http://127\S+?)/ `), "http://")
	conn, err := net.Dial("udp", u)
	if err != nil {
		t.Fatal(err)
	}
	client, err := stun.NewClient(conn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	var mapped stun.XORMappedAddress
	err = client.Do(stun.MustBuild(stun.TransactionID, stun.BindingRequest), func(e stun.Event) {
		if e.Error != nil || mapped.GetFrom(e.Message) != nil {
			t.Errorf("STUN on the HTTP port's number: %v", e.Error)
		}
	})
	if err != nil || mapped.String() != conn.LocalAddr().String() {
		t.Errorf("got %v, %v, want %v", mapped, err, conn.LocalAddr())
	}
}

// TestProxyIsNoticed: open access on a loopback listener leads to a warning once a request comes through a proxy.
func TestProxyIsNoticed(t *testing.T) {
	p := serve(t, newHome(t, ephemeral))
	get(t, p.pages()+"/")
	warning := "a proxy forwards clients to http.listen[0], so anyone may sign in and relay at your cost: set signal.access: key"
	if _, body := get(t, p.admin()+"/readyz"); strings.Contains(body, warning) {
		t.Errorf("warned without a proxy: %s", body)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.pages()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	p.find("level=WARN msg=\"" + regexp.QuoteMeta(warning))
	if _, body := get(t, p.admin()+"/readyz"); !strings.Contains(body, warning) {
		t.Errorf("no warning at /readyz: %s", body)
	}
}

// TestRedirect: a listener that redirects serves nothing else, no matter which Host header a client sends.
func TestRedirect(t *testing.T) {
	port := freePort(t)
	h := newHome(t, fmt.Sprintf(`
tls: self-signed
turn: {listen: [{address: "127.0.0.1:0"}]}
http: {listen: [{address: "127.0.0.1:%d", redirect: true}, {address: "127.0.0.1:0", tls: true}]}
admin: {address: "127.0.0.1:0"}
`, port))
	p := serve(t, h)
	secure := p.find(`pages +https://127\.0\.0\.1:(\d+)/`)
	client := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for host, want := range map[string]string{
		"turn.example.org":     "https://turn.example.org:" + secure + "/a/?key=b",
		"turn.example.org:80":  "https://turn.example.org:" + secure + "/a/?key=b",
		"[::1]":                "https://[::1]:" + secure + "/a/?key=b",
		"evil@turn.example":    "https://127.0.0.1:" + secure + "/a/?key=b",
		"turn.example/..?a=b#": "https://127.0.0.1:" + secure + "/a/?key=b",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/a/?key=b", port), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if got := answer.Header.Get("Location"); answer.StatusCode != http.StatusPermanentRedirect && answer.StatusCode != http.StatusBadRequest || got != want && answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d to %q, want %q", host, answer.StatusCode, got, want)
		}
	}
	if _, _, err := connect(t, fmt.Sprintf("ws://127.0.0.1:%d/ws", port), nil); err == nil {
		t.Error("a WebSocket connected to the listener")
	}
}
