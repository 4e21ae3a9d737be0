// Package certs is the one source of the daemon's certificate for HTTPS, TURN
// over TLS and DTLS: two files, one that an authority issues, or one the daemon
// signs itself and keeps in its state directory.
//
// # Files
//
// The files are looked at every few seconds and read again when they are no
// longer the ones that were read: written anew, renamed into place, or behind
// a symbolic link that points elsewhere, as certbot leaves them. A pair that
// does not fit together, or can't be read, is most likely half of an update:
// the old certificate stays in use, and if it lasts the log says so. Connections
// that are up keep what they were made with.
//
// # ACME
//
// An authority (RFC 8555) is asked for one certificate with all names, first
// with HTTP-01, if some listener speaks plain HTTP, and then with TLS-ALPN-01. It is renewed when a
// third of its life is left, and what the authority finds wrong is told in its
// own words. Account and certificate are in the state directory.
//
// The client is golang.org/x/crypto/acme. certmagic would link ten modules more and two logs;
// autocert says "no viable challenge type found" whatever the reason, has a certificate for each name
// (a client without SNI gets none) and timers that nobody can stop.
//
// # Self-signed
//
// The self-signed certificate is for tests and local networks. It holds the
// names and addresses it is asked for, is no authority (so trusting it trusts
// nothing else), and is replaced 30 days before it expires, also under a
// running daemon, and at a start with other names.
package certs

import "crypto/tls"

// A Source gives the certificate to serve now. It may be called from any
// goroutine.
type Source func() (*tls.Certificate, error)

// Config is a server's TLS configuration for what s gives.
func (s Source) Config(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     protocols,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s() },
	}
}
