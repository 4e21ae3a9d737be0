package loopback

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"testing"

	"icebox/deploy/e2e/classic"
	"icebox/deploy/e2e/server"
)

// twoEach allows each client address two connections and trusts only a proxy on 127.0.0.1.
const twoEach = "  trusted_proxies: [127.0.0.1/32]\nsignal: {limits: {connections_per_address: 2}}"

// client connects from an address of its own.
type client struct {
	from, url string
	tls       *tls.Config
	forged    func(n int) string // X-Forwarded-For of the nth connection; nil: none
}

// connect opens a WebSocket and reports whether icebox accepted it.
func (c client) connect(t *testing.T, n int) bool {
	t.Helper()
	header := http.Header{}
	if c.forged != nil {
		header.Set("X-Forwarded-For", c.forged(n))
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}}
	conn, status, err := classic.TryDial(c.url, classic.Options{TLS: c.tls, Header: header, Dial: dialer.DialContext})
	switch {
	case err == nil:
		t.Cleanup(func() { conn.Close() })
		return true
	case status == http.StatusTooManyRequests:
		return false
	default:
		t.Fatalf("connection %d from %s: status %d: %v", n, c.from, status, err)
		return false
	}
}

// hasItsOwnLimit checks that icebox accepts two connections from the client and refuses a third.
func (c client) hasItsOwnLimit(t *testing.T) {
	t.Helper()
	for n, want := range []bool{true, true, false} {
		if got := c.connect(t, n); got != want {
			t.Errorf("connection %d from %s: accepted %t, want %t", n, c.from, got, want)
		}
	}
}

// TestBehindNginx checks which address the limits apply to. Through Nginx with the shipped site, it
// is the client's address as Nginx saw it, whatever the client claims. Without Nginx it is the
// address of the connection, because only a trusted proxy may name another one.
func TestBehindNginx(t *testing.T) {
	t.Parallel()
	b := startBox(t, server.FreePorts(t), server.FreePort(t), twoEach)
	direct := fmt.Sprintf("127.0.0.1:%d", b.WS)
	https := fmt.Sprintf("127.0.0.1:%d", server.FreePort(t))
	server.StartNginx(t, server.NginxOptions{
		Name: "localhost", Files: files, Backend: direct, HTTPS: https, HTTP: fmt.Sprintf("127.0.0.1:%d", server.FreePort(t)),
	})
	forged := func(n int) string { return fmt.Sprintf("192.0.2.%d", n) }
	for name, c := range map[string]client{
		"first client":             {from: "127.0.0.2", url: "wss://" + https + "/ws", tls: trusting(t)},
		"second client":            {from: "127.0.0.3", url: "wss://" + https + "/ws", tls: trusting(t)},
		"forged, through Nginx":    {from: "127.0.0.4", url: "wss://" + https + "/ws", tls: trusting(t), forged: forged},
		"forged, directly":         {from: "127.0.0.5", url: "ws://" + direct + "/ws", forged: forged},
		"forged as first client's": {from: "127.0.0.6", url: "ws://" + direct + "/ws", forged: func(int) string { return "127.0.0.2" }},
	} {
		t.Run(name, c.hasItsOwnLimit)
	}
}

// TestThroughNginx signs in over WSS through the shipped site, and fetches both pages.
func TestThroughNginx(t *testing.T) {
	t.Parallel()
	b := startBox(t, server.FreePorts(t), server.FreePort(t), "")
	https := fmt.Sprintf("127.0.0.1:%d", server.FreePort(t))
	plain := fmt.Sprintf("127.0.0.1:%d", server.FreePort(t))
	server.StartNginx(t, server.NginxOptions{Name: "localhost", Files: files, Backend: fmt.Sprintf("127.0.0.1:%d", b.WS), HTTPS: https, HTTP: plain})
	conversation(t, "wss://"+https+"/", classic.Options{TLS: trusting(t)})

	web := &http.Client{
		Timeout:       classic.Within,
		Transport:     &http.Transport{TLSClientConfig: trusting(t)},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for url, want := range map[string]int{
		"https://" + https + "/":              http.StatusOK,
		"https://" + https + "/trickle-ice/":  http.StatusOK,
		"http://" + plain + "/trickle-ice/?a": http.StatusMovedPermanently,
	} {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := web.Do(r)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		reply.Body.Close()
		if reply.StatusCode != want {
			t.Errorf("%s: %s, want %d", url, reply.Status, want)
		}
	}
}
