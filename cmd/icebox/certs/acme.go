package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"

	"icebox/cmd/icebox/statedir"
)

// State files of ACME.
const (
	accountFile = "acme-account.pem"
	issuedFile  = "acme-certificate.pem" // key and chain, so that they cannot come apart
)

// ACMEOptions say which certificate to get from whom.
type ACMEOptions struct {
	Names     []string // DNS names, all in one certificate
	Email     string   // for the authority's news; may be ""
	Directory string   // URL of the authority's ACME directory
	Roots     *x509.CertPool
	Plain     bool // some listener speaks plain HTTP: HTTP-01 has a chance
	Log       *slog.Logger
}

// ACME gets a certificate from an authority (RFC 8555) and renews it.
type ACME struct {
	o       ACMEOptions
	dir     *statedir.Dir
	current atomic.Pointer[tls.Certificate] // nil before the first one

	mu       sync.Mutex
	problem  string                      // why the last attempt failed
	answers  map[string]string           // for HTTP-01, by URL path
	doubles  map[string]*tls.Certificate // for TLS-ALPN-01, by name
	attempts int                         // that failed in a row
}

// NewACME takes up what the state directory has. Run gets what it lacks.
func NewACME(dir *statedir.Dir, o ACMEOptions) (*ACME, error) {
	a := &ACME{o: o, dir: dir, answers: make(map[string]string), doubles: make(map[string]*tls.Certificate)}
	c, err := a.stored()
	if err != nil {
		return nil, err
	}
	if c != nil {
		a.current.Store(c)
	} else {
		a.problem = "the first one is being asked for"
	}
	return a, nil
}

// Get is a Source. It does not wait.
func (a *ACME) Get() (*tls.Certificate, error) {
	if c := a.current.Load(); c != nil {
		return c, nil
	}
	return nil, errors.New("there is no certificate yet")
}

// Problem says why there is no certificate, or why it is not renewed; "" when
// all is well.
func (a *ACME) Problem() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.problem == "":
		return ""
	case a.current.Load() == nil:
		return fmt.Sprintf("there is no certificate for %s yet: %s", strings.Join(a.o.Names, ", "), a.problem)
	}
	return fmt.Sprintf("the certificate for %s could not be renewed: %s", strings.Join(a.o.Names, ", "), a.problem)
}

// Run gets and renews the certificate until ctx ends.
func (a *ACME) Run(ctx context.Context) {
	for {
		wait := time.NewTimer(a.next(time.Now()))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return
		}
		c, err := a.obtain(ctx)
		if ctx.Err() != nil {
			return
		}
		a.note(c, err)
	}
}

// note remembers how an attempt ended.
func (a *ACME) note(c *tls.Certificate, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.attempts++
		a.problem = err.Error()
		a.o.Log.Warn("no certificate from the authority", "error", err, "attempt", a.attempts)
		return
	}
	a.attempts, a.problem = 0, ""
	a.current.Store(c)
	a.o.Log.Info("serving a new certificate", "serial", c.Leaf.SerialNumber.Text(16), "expires", c.Leaf.NotAfter)
}

// pauses are the waits after failed attempts. Authorities count failures, five
// an hour at Let's Encrypt.
var pauses = []time.Duration{time.Minute, 5 * time.Minute, 20 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour}

// next is how long to wait for the next attempt.
func (a *ACME) next(now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.attempts > 0 {
		return pauses[min(a.attempts, len(pauses))-1]
	}
	c := a.current.Load()
	if c == nil {
		return 0
	}
	return max(0, due(c.Leaf).Sub(now))
}

// due is when to renew: with a third of the lifetime left, and with half of it
// when that is short.
func due(c *x509.Certificate) time.Time {
	lifetime := c.NotAfter.Sub(c.NotBefore)
	left := lifetime / 3
	if lifetime < 10*24*time.Hour {
		left = lifetime / 2
	}
	return c.NotAfter.Add(-left)
}

// solvers are the kinds of challenge in the order of preference: HTTP-01 may come in
// through any proxy, TLS-ALPN-01 needs this daemon to have port 443.
func (a *ACME) solvers() []string {
	if a.o.Plain {
		return []string{"http-01", "tls-alpn-01"}
	}
	return []string{"tls-alpn-01"}
}

// HTTP answers the authority's HTTP-01 requests and leaves everything else to
// next.
func (a *ACME) HTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		answer, ok := a.answers[r.URL.Path]
		a.mu.Unlock()
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte(answer)) // the authority asks again
	})
}

// TLS has a server with the configuration c answer the authority's TLS-ALPN-01
// handshakes too. Their connections have acme.ALPNProto as the negotiated protocol and carry nothing.
func (a *ACME) TLS(c *tls.Config) {
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
			return nil, nil
		}
		a.mu.Lock()
		double := a.doubles[strings.ToLower(hello.ServerName)]
		a.mu.Unlock()
		if double == nil {
			return nil, fmt.Errorf("nobody was asked to vouch for %q", hello.ServerName)
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{acme.ALPNProto}, Certificates: []tls.Certificate{*double}}, nil
	}
}
