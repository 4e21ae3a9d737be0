package server

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"icebox/deploy/e2e/pki"
)

// Ports are the ports of a TURN server: Plain for UDP and TCP, Secure for TLS and DTLS.
type Ports struct{ Plain, Secure int }

// FreePorts returns two free ports.
func FreePorts(t testing.TB) Ports { return Ports{FreePort(t), FreePort(t)} }

// StartCoturn starts Debian's coturn on 127.0.0.1 with a shared secret. It is the relay that icebox
// is to replace.
func StartCoturn(t testing.TB, p Ports, secret string, files pki.Files) *Process {
	t.Helper()
	c, _ := StartCoturnFile(t, p, secret, files)
	return c
}

// StartCoturnFile is like StartCoturn and also returns the path of the configuration file.
func StartCoturnFile(t testing.TB, p Ports, secret string, files pki.Files) (c *Process, conf string) {
	t.Helper()
	dir := t.TempDir()
	conf = write(t, filepath.Join(dir, "turnserver.conf"), strings.Join([]string{
		"listening-ip=127.0.0.1", "relay-ip=127.0.0.1",
		"listening-port=" + strconv.Itoa(p.Plain), "tls-listening-port=" + strconv.Itoa(p.Secure),
		"use-auth-secret", "static-auth-secret=" + secret, "realm=icebox",
		"cert=" + files.Cert, "pkey=" + files.Key,
		"allow-loopback-peers", "allowed-peer-ip=127.0.0.1-127.0.0.255", "min-port=61000", "no-cli", "cli-password=unused",
		"log-file=stdout", "pidfile=" + filepath.Join(dir, "pid"), "userdb=" + filepath.Join(dir, "turndb"),
	}, "\n")+"\n")
	c = start(t, "coturn", Here.Command(context.Background(), "turnserver", "-c", conf))
	c.await(listening(Here, net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Plain))))
	c.await(listening(Here, net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Secure))))
	return c, conf
}
