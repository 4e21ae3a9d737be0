package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	gorilla "github.com/gorilla/websocket"

	"icebox/config"
)

// TestProtocols: a listener serves a protocol only if it turns the protocol on, at the path that it sets. Two listeners share its state.
func TestProtocols(t *testing.T) {
	const text = `
turn: {listen: []}
http:
  listen:
    - {address: "127.0.0.1:0", protocols: [peerjs, y-webrtc]}
    - {address: "[::1]:0", protocols: [{protocol: peerjs, path: /calls}, trystero]}
admin: {address: "127.0.0.1:0"}
`
	h := newHome(t, text)
	p := serve(t, h)
	v4, v6 := p.find(`peerjs +(http://127\S+)/peerjs`), p.find(`peerjs +(http://\[::1\]\S+)/calls`)
	for path, want := range map[string]int{
		v4 + "/peerjs/id": 200, v4 + "/calls/id": 404, v6 + "/calls/peerjs/id": 200, v6 + "/peerjs/id": 404,
		v4 + "/y-webrtc": 200, v6 + "/y-webrtc": 404, v6 + "/trystero": 426, v4 + "/peerjs/peers": 401,
	} {
		if status, body := get(t, path); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
	metrics := `icebox_http_requests_total{route="%s"} `
	_, before := get(t, p.admin()+"/metrics")
	for _, route := range []string{"peerjs", "y-webrtc", "trystero"} {
		if !strings.Contains(before, fmt.Sprintf(metrics, route)) {
			t.Errorf("no metric for %s", route)
		}
	}
	peer := func(base, id string) *gorilla.Conn {
		c, _, err := connect(t, "ws"+strings.TrimPrefix(base, "http")+"?key=peerjs&token=t&id="+id, nil)
		if err != nil {
			t.Fatal(err)
		}
		wantFrame(t, c, `{"type":"OPEN"}`)
		return c
	}
	alice, bob := peer(v4+"/peerjs", "alice"), peer(v6+"/calls/peerjs", "bob")
	if err := alice.WriteMessage(gorilla.TextMessage, []byte(`{"type":"OFFER","dst":"bob","payload":{}}`)); err != nil {
		t.Fatal(err)
	}
	wantFrame(t, bob, `{"type":"OFFER","src":"alice","dst":"bob","payload":{}}`)

	// Limits can be reloaded. Changing the protocols of a listener takes a restart.
	reload := func(text, logged string) {
		t.Helper()
		if err := os.WriteFile(h.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p.signal(syscall.SIGHUP)
		p.find(logged)
	}
	reload(text+"signal: {peerjs: {discovery: true}, topics: {total: 5}}\n", `reloaded.*signal\.peerjs\.discovery signal\.topics\.total`)
	if status, body := get(t, v4+"/peerjs/peers"); status != 200 || !strings.Contains(body, `"alice"`) {
		t.Errorf("peers after a reload: %d %s", status, body)
	}
	reload(strings.Replace(text, "peerjs, ", "", 1), `http\.listen: has changed, and takes a restart`)
	if status, _ := get(t, v4+"/peerjs/id"); status != 200 {
		t.Errorf("after a reload that was refused: %d", status)
	}
	p.signal(syscall.SIGTERM)
	for _, c := range []*gorilla.Conn{alice, bob} {
		if _, _, err := c.ReadMessage(); !gorilla.IsCloseError(err, gorilla.CloseServiceRestart) {
			t.Errorf("a stopping daemon closed the connection with %v", err)
		}
	}
	if status := p.exit(); status != 0 {
		t.Errorf("status %d", status)
	}
}

func wantFrame(t *testing.T, c *gorilla.Conn, want string) {
	t.Helper()
	if _, got, err := c.ReadMessage(); err != nil || string(got) != want {
		t.Fatalf("got %s, %v, want %s", got, err, want)
	}
}

// TestProtocolsLeaveOwnRoutesAlone: no protocol can be mounted at a path of icebox itself or of its pages.
func TestProtocolsLeaveOwnRoutesAlone(t *testing.T) {
	routes := []string{"/ws", "/v1/hello", "/ice", "/turn", "/api/turn", "/turn/credentials", "/_matrix/client/v3/voip/turnServer"}
	pages, err := os.ReadDir("../../signal/web/static")
	if err != nil || len(pages) < 4 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range pages {
		if page.IsDir() {
			routes = append(routes, "/"+page.Name())
		}
	}
	for _, route := range routes {
		_, err := config.Load(config.Source{Env: []string{
			fmt.Sprintf(`ICEBOX_HTTP_LISTEN=[{address: ":8080", protocols: [{protocol: peerjs, path: %s}]}]`, route),
		}})
		if err == nil || !strings.Contains(err.Error(), "is taken by icebox itself") {
			t.Errorf("%s: %v", route, err)
		}
	}
}
