// Package loopback proves icebox with other people's clients on this machine's loopback addresses, without root: Go
// WebRTC clients (Pion), coturn's own tools, classic WebSocket clients, and Debian's Nginx in between.
package loopback

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"testing"

	"icebox/deploy/e2e/pki"
)

// files are one authority and server certificate for all tests of the package.
var files pki.Files

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run makes the authority the one this process trusts, for clients that can't be told otherwise.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "loopback")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if files, err = pki.New(dir, "localhost"); err == nil {
		err = os.Setenv("SSL_CERT_FILE", files.CA)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// trusting is a client's TLS configuration that trusts the test authority alone.
func trusting(t *testing.T) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(files.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}
