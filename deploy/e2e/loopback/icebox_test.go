package loopback

import (
	"fmt"
	"testing"

	"icebox/deploy/e2e/server"
)

// secret is the shared secret of the tests and the relay, whether that is coturn or icebox.
const secret = "shared by coturn and icebox"

// box is a daemon on loopback addresses, with the ports it listens on.
type box struct {
	*server.Icebox
	server.Ports
	WS int // port for signalling without TLS
}

// startBox starts a daemon that relays to loopback peers, which the default rules deny.
func startBox(t *testing.T, p server.Ports, ws int, extra string) box {
	t.Helper()
	config := fmt.Sprintf(`
public_host: 127.0.0.1
tls: {certificate: %[1]s, key: %[2]s}
turn:
  listen:
    - {address: "127.0.0.1:%[3]d", transports: [udp, tcp]}
    - {address: "[::1]:%[3]d", transports: [udp, tcp]}
    - {address: "127.0.0.1:%[4]d", transports: [tls, dtls]}
    - {address: "[::1]:%[4]d", transports: [tls, dtls]}
  relay_ports: 61000-65535 # beside the ports that the kernel gives to clients on the same addresses
  limits: {allocations_per_user: 1000, allocations_per_address: 1000, connections_per_address: 1000} # all tests are one user at one address
  peers: [{allow: 127.0.0.0/8}, {allow: "::1/128"}]
credentials: {secrets: [{secret: %[5]q}]}
shutdown: {drain: 100ms}
http:
  listen: [{address: "127.0.0.1:%[6]d", classic: {greeting: Hello world, unknown_command: Command not found}}]
%[7]s`, files.Cert, files.Key, p.Plain, p.Secure, secret, ws, extra)
	return box{server.StartIcebox(t, server.IceboxOptions{Config: config}), p, ws}
}

// relayed returns how many packets from peers the daemon has relayed to clients of one transport so
// far.
func (b box) relayed(t *testing.T, transport string) float64 {
	t.Helper()
	return b.Metric("icebox_turn_relayed_packets_total", fmt.Sprintf("transport=%q", transport), `direction="from_peer"`)
}
