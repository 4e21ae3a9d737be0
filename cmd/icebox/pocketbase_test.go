package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// withPocketBase returns the ephemeral configuration with the protocol and the given users.
func withPocketBase(who string) string {
	return strings.Replace(ephemeral, `[{address: "127.0.0.1:0"}]
admin`, `[{address: "127.0.0.1:0", protocols: [{protocol: pocketbase, path: /pb}]}]
admin`, 1) + "signal: {access: key, keys: [{name: web, key: 0123456789abcdef}], pocketbase: {" + who + "}}\n"
}

// asPage sends a request as PocketBase's SDK does in the tutorial's page, and returns the response and its body.
func (p *process) asPage(method, path, token, body string) (*http.Response, map[string]any) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.pages()+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", "http://localhost:5173")
	r.Header.Set("Authorization", token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = resp.Body.Close() })
	var o map[string]any
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		text, _ := io.ReadAll(resp.Body)
		if err := json.Unmarshal(text, &o); err != nil {
			p.t.Fatalf("%s %s: %q: %v", method, path, text, err)
		}
	}
	return resp, o
}

// TestPocketBase: the tutorial's page signs in, gets a STUN server, and receives events. With one more request it gets a TURN server
// that works. A reload removes users, and a shutdown ends streams.
func TestPocketBase(t *testing.T) {
	h := newHome(t, withPocketBase("users: [{identity: al, password: open sesame}]"))
	p := serve(t, h)
	resp, _ := p.asPage("OPTIONS", "/pb/api/collections/calls/records", "", "")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "http://localhost:5173", "Access-Control-Allow-Methods": "PATCH", "Access-Control-Allow-Headers": "Authorization",
		"Access-Control-Max-Age": "7200",
	} {
		if got := resp.Header.Get(name); !strings.Contains(got, want) {
			t.Errorf("preflight: %s is %q", name, got)
		}
	}
	if resp, _ := p.asPage("POST", "/pb/api/collections/users/auth-with-password", "", `{"identity":"al","password":"wrong"}`); resp.StatusCode != 400 {
		t.Errorf("a wrong password: %d", resp.StatusCode)
	}
	_, signedIn := p.asPage("POST", "/pb/api/collections/users/auth-with-password", "", `{"identity":"al","password":"open sesame"}`)
	token, _ := signedIn["token"].(string)
	_, list := p.asPage("GET", "/pb/api/collections/ice_servers/records", token, "")
	if items, _ := list["items"].([]any); len(items) != 1 || !strings.HasPrefix(items[0].(map[string]any)["url"].(string), "stun:127.0.0.1:") {
		t.Errorf("ICE servers: %v", list)
	}
	_, ice := p.asPage("GET", "/ice", "Bearer "+token, "")
	addr := "127.0.0.1:" + p.turn("turn:127.0.0.1:H?transport=udp")
	username, _ := ice["username"].(string)
	secret, _ := ice["password"].(string)
	_, release, err := allocate(t, udpClient(t), addr, username, secret)
	if err != nil {
		t.Errorf("cannot relay with %v: %v", ice, err)
	}
	release()

	stream, _ := p.asPage("GET", "/pb/api/realtime", "", "")
	events := bufio.NewReader(stream.Body)
	if first, err := events.ReadString('\n'); err != nil || !strings.HasPrefix(first, "id:") {
		t.Errorf("the stream begins with %q, %v", first, err)
	}
	hashed := "$2b$04$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"
	h.write(t, withPocketBase("users: [{identity: al, password: "+hashed+"}]"))
	if got := icebox(t, nil, h.args("reload")...); got.stdout != "reloaded; changed: signal.pocketbase.users\n" {
		t.Errorf("printed %q and %q", got.stdout, got.stderr)
	}
	for _, path := range []string{"/pb/api/collections/ice_servers/records", "/ice"} {
		if resp, _ := p.asPage("GET", path, "Bearer "+token, ""); resp.StatusCode != 401 {
			t.Errorf("%s after the password was changed: %d", path, resp.StatusCode)
		}
	}
	h.write(t, withPocketBase("anyone: true"))
	icebox(t, nil, h.args("reload")...)
	for password, want := range map[string]int{"0123456789abcdef": 200, "0123456789abcdeX": 400} {
		if resp, _ := p.asPage("POST", "/pb/api/collections/users/auth-with-password", "", `{"identity":"x","password":"`+password+`"}`); resp.StatusCode != want {
			t.Errorf("with a key as the password: %d, want %d", resp.StatusCode, want)
		}
	}
	p.signal(syscall.SIGTERM)
	if _, err := io.Copy(io.Discard, events); err != nil {
		t.Errorf("a stopping daemon ended the stream with %v", err)
	}
	if status := p.exit(); status != 0 {
		t.Errorf("status %d", status)
	}
	for _, secret := range []string{"open sesame", token, hashed} {
		if strings.Contains(p.out.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

// TestPocketBasePasswordFile: a password may be in a file beside the configuration.
func TestPocketBasePasswordFile(t *testing.T) {
	h := newHome(t, withPocketBase("users: [{identity: al, file: al.password}]"))
	h2 := home{filepath.Join(filepath.Dir(h.config), "al.password"), h.state}
	h2.write(t, "open sesame\n")
	p := serve(t, h)
	resp, _ := p.asPage("POST", "/pb/api/collections/users/auth-with-password", "", `{"identity":"al","password":"open sesame"}`)
	if resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
}
