// Package certs provides the daemon's certificate for HTTPS, TURN over TLS and DTLS. There are three sources: two files, an
// authority that issues certificates over ACME, and a certificate that the daemon signs itself.
//
// # Files
//
// The daemon checks the two files every few seconds. It reads them again if they were written, replaced by a rename, or are
// behind a symbolic link that points to another file now, as after a renewal by certbot. A pair that does not fit together or
// cannot be read is most likely an update in progress, so the old certificate stays in use. If the error persists, it is logged.
// Existing connections keep the certificate that they began with.
//
// # ACME
//
// The daemon orders one certificate with all names from an authority (RFC 8555). It tries the challenge HTTP-01 first, if a
// listener serves plain HTTP, and then TLS-ALPN-01. It renews the certificate when a third of its life is left. Errors quote the
// authority's own words. The account and the certificate are in the state directory.
//
// The ACME client is golang.org/x/crypto/acme. certmagic would add ten modules and two loggers to the binary. autocert reports
// "no viable challenge type found" for every cause, has one certificate for each name (so a client without SNI gets none), and
// has timers that cannot be stopped.
//
// # Self-signed
//
// The self-signed certificate is for tests and local networks. It has the names and addresses that the caller asks for. It cannot
// sign other certificates, so trusting it trusts nothing else. The daemon replaces it 30 days before it expires, even while it
// runs, and when it starts with other names.
package certs

import "crypto/tls"

// A Source returns the certificate to serve now. It is safe for concurrent use.
type Source func() (*tls.Certificate, error)

// Config returns a TLS configuration for a server with the certificate of s.
func (s Source) Config(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     protocols,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s() },
	}
}
