package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	gorilla "github.com/gorilla/websocket"
	"github.com/pion/turn/v3"
)

// freePort returns a port of 127.0.0.1 that was just free for TCP. The kernel cannot choose a port that two listeners share.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// TestOnePort: pages over HTTP/2, signalling, and TURN over TLS, DTLS and UDP work on one port.
func TestOnePort(t *testing.T) {
	port := freePort(t)
	h := newHome(t, fmt.Sprintf(`
tls: self-signed
turn:
  users: [{name: alice, password: secret}]
  listen: [{address: "127.0.0.1:%[1]d", transports: [udp, tls, dtls]}]
http: {listen: [{address: "127.0.0.1:%[1]d", tls: true}]}
admin: {address: "127.0.0.1:0"}
shutdown: {drain: 10ms}
`, port))
	checked := icebox(t, nil, h.args("check")...)
	if want := fmt.Sprintf("icebox: note: http.listen[0] and turn.listen[0] share tcp 127.0.0.1:%d: ", port); checked.status != 0 || !strings.Contains(checked.stderr, want) {
		t.Errorf("check: status %d, %q", checked.status, checked.stderr)
	}
	p := serve(t, h)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	page, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + addr + "/")
	if err != nil || page.ProtoMajor != 2 || page.StatusCode != 200 {
		t.Fatalf("the page: %v, %v", page, err)
	}
	_ = page.Body.Close()
	_, r := signIn(t, "wss://"+addr+"/ws", "alice")
	if want := "turns:" + addr + "?transport=tcp"; !r.Success || !strings.Contains(fmt.Sprint(r.ICEServers), want) {
		t.Errorf("signed in: %+v, want %s", r, want)
	}
	for _, c := range []*call{
		ringOver(t, addr, func() net.PacketConn { return turn.NewSTUNConn(dialTLS(t, addr)) }),
		ringOver(t, addr, func() net.PacketConn { return datagrams{dialDTLS(t, addr)} }),
		ring(t, addr),
	} {
		c.hangUp()
	}
	if _, body := get(t, p.admin()+"/metrics"); !strings.Contains(body, `icebox_http_shared_connections_total{kind="turn"} 2`) {
		t.Error("the metric does not count two TURN connections")
	}
	p.signal(syscall.SIGTERM)
	if status := p.exit(); status != 0 { // connections of all kinds are still open
		t.Errorf("status %d", status)
	}
}

// The headers of a proxy for a client at 203.0.113.9:33333, in both versions.
const (
	header1 = "PROXY TCP4 203.0.113.9 127.0.0.1 33333 443\r\n"
	header2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\x7f\x00\x00\x01\x82\x35\x01\xbb"
)

// fromProxy connects as a proxy does. If secure, the connection uses TLS.
func fromProxy(t *testing.T, addr, header string, secure bool) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, header); err != nil {
		t.Fatal(err)
	}
	if secure {
		return tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	return c
}

// TestProxyProtocol: behind a proxy with the PROXY protocol, responses and the log have the client's address, over TCP, TLS and a
// shared port.
func TestProxyProtocol(t *testing.T) {
	port := freePort(t)
	h := newHome(t, fmt.Sprintf(`
log: {level: debug}
tls: self-signed
turn:
  users: [{name: alice, password: secret}]
  relay_addresses: [127.0.0.1]
  listen:
    - {address: "127.0.0.1:0", transports: [tcp], proxy_protocol: true}
    - {address: "127.0.0.1:%[1]d", transports: [tls], proxy_protocol: true, public: "turn.example.org:443"}
http:
  listen:
    - {address: "127.0.0.1:%[1]d", tls: true, proxy_protocol: true}
    - {address: "127.0.0.1:0", proxy_protocol: true}
admin: {address: "127.0.0.1:0"}
shutdown: {drain: 10ms}
`, port))
	p := serve(t, h)
	p.find(`turns:turn\.example\.org:443\?transport=tcp`)
	p.find(`anyone who reaches http\.listen\[1\]`) // although it listens on loopback
	shared := fmt.Sprintf("127.0.0.1:%d", port)
	for transport, c := range map[string]struct {
		addr, header string
		secure       bool
	}{"tcp": {"127.0.0.1:" + p.turn("turn:127.0.0.1:H?transport=tcp"), header2, false}, "tls": {shared, header1, true}} {
		conn := turn.NewSTUNConn(fromProxy(t, c.addr, c.header, c.secure))
		client, err := turn.NewClient(&turn.ClientConfig{STUNServerAddr: c.addr, TURNServerAddr: c.addr, Conn: conn, Username: "alice", Password: "secret"})
		if err != nil || client.Listen() != nil {
			t.Fatal(err)
		}
		if mapped, err := client.SendBindingRequest(); err != nil || mapped.String() != "203.0.113.9:33333" {
			t.Errorf("%s: mapped to %v, %v", transport, mapped, err)
		}
		relay, err := client.Allocate()
		if err != nil {
			t.Fatalf("%s: %v", transport, err)
		}
		_ = relay.Close()
		p.find(`msg="session ended".* transport=` + transport + ` client=203\.0\.113\.9:33333 relayed=\[127\.0\.0\.1:`)
		client.Close()
		_ = conn.Close()
	}
	plain := strings.TrimPrefix(p.find(`(ws://127\S+)/ws`), "ws://")
	for url, secure := range map[string]bool{"wss://" + shared + "/ws": true, "ws://" + plain + "/ws": false} {
		_, addr, _ := strings.Cut(strings.TrimSuffix(url, "/ws"), "://")
		d := gorilla.Dialer{HandshakeTimeout: patience, NetDial: func(string, string) (net.Conn, error) { return fromProxy(t, addr, header2, false), nil }}
		if secure {
			d.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
		}
		c, _, err := d.Dial(url, http.Header{"Origin": {"https://127.0.0.1"}})
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		p.find(`msg="client connected".* addr=203\.0\.113\.9`)
		_ = c.Close()
	}
	// A connection without a header is closed, and the daemon keeps running.
	if _, _, err := connect(t, "ws://"+plain+"/ws", nil); err == nil {
		t.Error("a trusted proxy connected without a header")
	}
	p.find("a trusted proxy sent no valid PROXY header")
	p.signal(syscall.SIGTERM)
	if status := p.exit(); status != 0 {
		t.Errorf("status %d", status)
	}
}
