package loopback

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"icebox/deploy/e2e/abuse/stun"
	"icebox/deploy/e2e/abuse/turn"
	"icebox/deploy/e2e/server"
)

// TestBehindHAProxy puts HAProxy in front of icebox, with both versions of the PROXY protocol. Over
// TCP, TLS and WebSockets, clients must be told their own addresses, and the limits must apply to
// those.
func TestBehindHAProxy(t *testing.T) {
	t.Parallel()
	for _, send := range []string{"send-proxy", "send-proxy-v2"} {
		t.Run(send, func(t *testing.T) {
			t.Parallel()
			tcp, tls, web := server.FreePort(t), server.FreePort(t), server.FreePort(t)
			server.StartIcebox(t, server.IceboxOptions{Config: fmt.Sprintf(`
public_host: 127.0.0.1
tls: {certificate: %s, key: %s}
turn:
  listen:
    - {address: "127.0.0.1:%d", transports: [tcp], proxy_protocol: true}
    - {address: "127.0.0.1:%d", transports: [tls], proxy_protocol: true}
  relay_ports: 61000-65535
credentials: {secrets: [{secret: %q}]}
http:
  listen: [{address: "127.0.0.1:%d", proxy_protocol: true}]
  origins: [{origin: "null"}]
  trusted_proxies: [127.0.0.1/32]
signal:
  access: key
  keys: [{name: test, key: the key of this test here}]
  limits: {connections_per_address: 2}`, files.Cert, files.Key, tcp, tls, secret, web)})
			tcpFront, tlsFront, webFront := server.FreePort(t), server.FreePort(t), server.FreePort(t)
			server.StartHAProxy(t, send, map[int]int{tcpFront: tcp, tlsFront: tls, webFront: web})

			for transport, port := range map[turn.Transport]int{turn.TCP: tcpFront, turn.TLS: tlsFront} {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				c, err := turn.Connect(ctx, transport, netip.MustParseAddr("127.0.0.7"),
					netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)), turn.Mint(secret, "alice"))
				if err != nil {
					t.Fatalf("%s: %v", transport, err)
				}
				defer c.Close()
				m, err := c.Request(stun.Binding)
				if err != nil {
					t.Fatalf("%s: %v", transport, err)
				}
				if a, ok := m.Address(stun.XORMappedAddress); !ok || a.String() != c.Local().String() {
					t.Errorf("%s: a client at %s is told that its address is %s", transport, c.Local(), a)
				}
				if _, err := c.Allocate(); err != nil {
					t.Errorf("%s: allocate: %v", transport, err)
				}
			}
			for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
				client{from: from, url: fmt.Sprintf("ws://127.0.0.1:%d/ws?key=the+key+of+this+test+here", webFront)}.hasItsOwnLimit(t)
			}
		})
	}
}
