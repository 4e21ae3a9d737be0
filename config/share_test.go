package config

import (
	"fmt"
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

// Behind a proxy that does not send the PROXY protocol, the daemon would relay from loopback.
func TestLoopbackBehindSomething(t *testing.T) {
	const listen = "tls: self-signed\nturn: {listen: [{address: 127.0.0.1:5350, transports: [tls], public: 'relay.example.org:443'%s}]}\n"
	for more, want := range map[string]int{"": 1, ", proxy_protocol: true": 0} {
		c := load(t, fmt.Sprintf(listen, more), Source{})
		if got := c.Warnings(); len(got) != want || want == 1 && !strings.Contains(got[0], "set proxy_protocol") {
			t.Errorf("%q: warnings %q", more, got)
		}
	}
}
