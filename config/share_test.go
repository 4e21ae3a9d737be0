package config

import (
	"slices"
	"strings"
	"testing"
)

func TestShared(t *testing.T) {
	c := load(t, `
tls: self-signed
turn:
  listen:
    - {address: ":3478"}
    - {address: ":443", transports: [udp, tls, dtls], proxy_protocol: true}
    - {address: 127.0.0.1:0, transports: [tls]}
http:
  listen:
    - {address: 127.0.0.1:8080}
    - {address: ":443", tls: true, proxy_protocol: true}
    - {address: 127.0.0.1:0, tls: true}
`, Source{})
	want := []Sharing{{HTTP: 1, TURN: 1, Address: Endpoint{Port: 443}}}
	if got := c.Shared(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if text := want[0].String(); !strings.HasPrefix(text, "http.listen[1] and turn.listen[1] share tcp :443: ") {
		t.Errorf("got %q", text)
	}
	if c := load(t, "", Source{}); len(c.Shared()) != 0 {
		t.Errorf("the defaults share %v", c.Shared())
	}
}
