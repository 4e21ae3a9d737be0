// Package loopback tests icebox with clients of other projects on this host's loopback addresses,
// without root: Go WebRTC clients (Pion), coturn's own tools, Twilio's client, and clients of the
// signalling protocols, also with Debian's Nginx or HAProxy in between.
package loopback

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"testing"

	"icebox/deploy/e2e/pki"
)

// files are the authority and the server certificate that all tests of the package use.
var files pki.Files

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run makes this process trust the authority, for clients that offer no setting for that.
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

// trusting returns a TLS client configuration that trusts only the test authority.
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
