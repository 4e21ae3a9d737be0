package loopback

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"icebox/deploy/e2e/classic"
	"icebox/deploy/e2e/server"
)

// behindNginx starts a daemon that serves one protocol of other projects' clients, behind Debian's
// Nginx with the shipped site. It returns Nginx's host and port, and an HTTP client that trusts
// Nginx's certificate.
func behindNginx(t *testing.T, protocol, more string) (string, *http.Client) {
	t.Helper()
	ws, https := server.FreePort(t), fmt.Sprintf("127.0.0.1:%d", server.FreePort(t))
	server.StartIcebox(t, server.IceboxOptions{Config: fmt.Sprintf(`
turn: {listen: [{address: "127.0.0.1:%d"}]}
shutdown: {drain: 100ms}
http: {listen: [{address: "127.0.0.1:%d", protocols: [%s]}]}
%s`, server.FreePort(t), ws, protocol, more)})
	server.StartNginx(t, server.NginxOptions{
		Name: "localhost", Files: files, Backend: fmt.Sprintf("127.0.0.1:%d", ws), HTTPS: https, HTTP: fmt.Sprintf("127.0.0.1:%d", server.FreePort(t)),
	})
	return https, &http.Client{Timeout: classic.Within, Transport: &http.Transport{TLSClientConfig: trusting(t)}}
}

// talker is a WebSocket that exchanges JSON text.
type talker struct {
	t    *testing.T
	conn *websocket.Conn
}

// talk connects as a page on the same host does.
func talk(t *testing.T, host, path string) talker {
	t.Helper()
	d := websocket.Dialer{TLSClientConfig: trusting(t), HandshakeTimeout: classic.Within}
	conn, _, err := d.Dial("wss://"+host+path, http.Header{"Origin": {"https://" + host}})
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	t.Cleanup(func() { conn.Close() })
	deadline := time.Now().Add(3 * classic.Within)
	if err := conn.SetReadDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetWriteDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	return talker{t, conn}
}

func (c talker) say(text string) {
	c.t.Helper()
	if err := c.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// hear reads one message, which must be the same JSON value as want.
func (c talker) hear(want string) {
	c.t.Helper()
	_, text, err := c.conn.ReadMessage()
	if err != nil {
		c.t.Fatalf("waiting for %s: %v", want, err)
	}
	if got := canonical(c.t, text); got != canonical(c.t, []byte(want)) {
		c.t.Fatalf("received %s, want %s", got, want)
	}
}

func canonical(t *testing.T, text []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPeerJSThroughNginx(t *testing.T) {
	t.Parallel()
	host, web := behindNginx(t, "peerjs", "")
	reply, err := web.Get("https://" + host + "/peerjs/peerjs/id?ts=1&version=1.5.5")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if id, err := io.ReadAll(reply.Body); err != nil || reply.StatusCode != http.StatusOK || len(id) != 36 {
		t.Errorf("the request for an ID returned %s, %q, %v", reply.Status, id, err)
	}
	socket := func(id string) talker {
		return talk(t, host, "/peerjs/peerjs?key=peerjs&version=1.5.5&token=of-"+id+"&id="+id)
	}
	a := socket("a")
	a.hear(`{"type":"OPEN"}`)
	b := socket("b")
	b.hear(`{"type":"OPEN"}`)
	b.say(`{"type":"HEARTBEAT"}`)
	a.say(`{"type":"OFFER","dst":"b","payload":{"sdp":{"type":"offer","sdp":"v=0"},"type":"data","connectionId":"dc_1"}}`)
	b.hear(`{"type":"OFFER","src":"a","dst":"b","payload":{"sdp":{"type":"offer","sdp":"v=0"},"type":"data","connectionId":"dc_1"}}`)
}

func TestYWebRTCThroughNginx(t *testing.T) {
	t.Parallel()
	host, _ := behindNginx(t, "y-webrtc", "")
	a, b := talk(t, host, "/y-webrtc"), talk(t, host, "/y-webrtc")
	for _, c := range []talker{a, b} {
		c.say(`{"type":"subscribe","topics":["room"]}`)
		c.say(`{"type":"ping"}`)
		c.hear(`{"type":"pong"}`)
	}
	a.say(`{"type":"publish","topic":"room","data":{"type":"announce","from":"a"}}`)
	for _, c := range []talker{a, b} {
		c.hear(`{"type":"publish","topic":"room","data":{"type":"announce","from":"a"},"clients":2}`)
	}
}

func TestTrysteroThroughNginx(t *testing.T) {
	t.Parallel()
	host, _ := behindNginx(t, "trystero", "")
	a, b := talk(t, host, "/trystero"), talk(t, host, "/trystero")
	a.say(`{"type":"subscribe","topic":"room"}`)
	a.say(`{"type":"publish","topic":"room","payload":"mine"}`)
	a.hear(`{"topic":"room","payload":"mine"}`)
	b.say(`{"type":"publish","topic":"room","payload":{"peerId":"b"}}`)
	a.hear(`{"topic":"room","payload":{"peerId":"b"}}`)
}
