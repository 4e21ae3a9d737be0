package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/turn/v3"

	"icebox/cmd/icebox/certs"
	"icebox/cmd/icebox/statedir"
)

// newCertificate makes a certificate for 127.0.0.1. It returns the file that has the certificate and its key, and the serial
// number.
func newCertificate(t *testing.T) (file, serial string) {
	t.Helper()
	d, err := statedir.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	source, err := certs.SelfSigned(d, []string{"127.0.0.1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := source()
	if err != nil {
		t.Fatal(err)
	}
	return d.Path("self-signed.pem"), pair.Leaf.SerialNumber.String()
}

func dialTLS(t *testing.T, addr string) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func dialDTLS(t *testing.T, addr string) *dtls.Conn {
	t.Helper()
	remote, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := dtls.DialWithOptions("udp", remote, dtls.WithInsecureSkipVerify(true))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

// datagrams is a net.PacketConn on a connection that preserves message boundaries.
type datagrams struct{ net.Conn }

func (d datagrams) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := d.Read(b)
	return n, d.RemoteAddr(), err
}

func (d datagrams) WriteTo(b []byte, _ net.Addr) (int, error) { return d.Write(b) }

// relink changes the target of a symbolic link, as certbot does.
func relink(t *testing.T, link, target string) {
	t.Helper()
	if err := os.Symlink(target, link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
}

// TestRenewalUnderLiveCalls: when the certificate is renewed, HTTPS, TURN over TLS and DTLS serve the new one within seconds, and
// calls lose no packet.
func TestRenewalUnderLiveCalls(t *testing.T) {
	first, before := newCertificate(t)
	second, after := newCertificate(t)
	link := filepath.Join(t.TempDir(), "pair.pem")
	relink(t, link, first)
	h := newHome(t, `
tls: {certificate: `+link+`, key: `+link+`}
turn:
  users: [{name: alice, password: secret}]
  listen: [{address: "127.0.0.1:0", transports: [tls, dtls]}]
http: {listen: [{address: "127.0.0.1:0", tls: true}]}
admin: {address: "127.0.0.1:0"}
shutdown: {drain: 10ms}
`)
	p := serve(t, h)
	turns := "127.0.0.1:" + p.turn("turns:127.0.0.1:H?transport=tcp")
	https := p.find(`wss://(\S+)/ws`)
	socket, _ := signIn(t, "wss://"+https+"/ws", "alice")

	calls := map[string]*call{
		"TLS":  ringOver(t, turns, func() net.PacketConn { return turn.NewSTUNConn(dialTLS(t, turns)) }),
		"DTLS": ringOver(t, turns, func() net.PacketConn { return datagrams{dialDTLS(t, turns)} }),
	}
	serials := func() map[string]string {
		got := map[string]string{}
		for name, addr := range map[string]string{"HTTPS": https, "TURN over TLS": turns} {
			c := dialTLS(t, addr)
			got[name] = c.ConnectionState().PeerCertificates[0].SerialNumber.String()
			_ = c.Close()
		}
		c := dialDTLS(t, turns)
		state, _ := c.ConnectionState()
		leaf, err := x509.ParseCertificate(state.PeerCertificates[0])
		if err != nil {
			t.Fatal(err)
		}
		got["DTLS"] = leaf.SerialNumber.String()
		_ = c.Close()
		return got
	}
	for name, got := range serials() {
		if got != before {
			t.Errorf("%s: serial %s, want %s", name, got, before)
		}
	}
	relink(t, link, second)
	p.find(`component=tls serial=`)
	for name, got := range serials() {
		if got != after {
			t.Errorf("%s after the renewal: serial %s, want %s", name, got, after)
		}
	}
	for name, c := range calls {
		t.Log(name)
		c.hangUp()
	}
	_ = socket.SetReadDeadline(time.Now().Add(patience))
	if err := socket.WriteJSON(map[string]string{"type": "offer", "name": "nobody"}); err != nil {
		t.Error(err)
	}
	if _, text, err := socket.ReadMessage(); err != nil {
		t.Errorf("the WebSocket: %s, %v", text, err)
	}
}
