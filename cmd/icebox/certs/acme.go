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
	issuedFile  = "acme-certificate.pem" // key and chain, in one file so that they always fit together
)

// ACMEOptions describe a certificate and the authority that issues it.
type ACMEOptions struct {
	Names     []string // DNS names, all in one certificate
	Email     string   // for notices of the authority; may be ""
	Directory string   // URL of the authority's ACME directory
	Roots     *x509.CertPool
	Plain     bool // a listener serves plain HTTP, so HTTP-01 may work
	Log       *slog.Logger
}

// ACME gets a certificate from an authority (RFC 8555) and renews it.
type ACME struct {
	o       ACMEOptions
	dir     *statedir.Dir
	current atomic.Pointer[tls.Certificate] // nil until the first certificate is issued

	mu                 sync.Mutex
	problem            string                      // why the last attempt failed
	challengeResponses map[string]string           // for HTTP-01, by URL path
	challengeCerts     map[string]*tls.Certificate // for TLS-ALPN-01, by name
	failures           int                         // in a row
}

// NewACME loads the certificate in the state directory, if there is one. Run orders new ones.
func NewACME(dir *statedir.Dir, o ACMEOptions) (*ACME, error) {
	a := &ACME{o: o, dir: dir, challengeResponses: make(map[string]string), challengeCerts: make(map[string]*tls.Certificate)}
	c, err := a.load()
	if err != nil {
		return nil, err
	}
	if c != nil {
		a.current.Store(c)
	} else {
		a.problem = "the authority has been asked for it"
	}
	return a, nil
}

// Get is a Source. It does not block.
func (a *ACME) Get() (*tls.Certificate, error) {
	if c := a.current.Load(); c != nil {
		return c, nil
	}
	return nil, errors.New("there is no certificate yet")
}

// Problem returns why there is no certificate, or why it could not be renewed, or "".
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

// Run orders and renews the certificate until ctx is done.
func (a *ACME) Run(ctx context.Context) {
	for {
		wait := time.NewTimer(a.nextAttempt(time.Now()))
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
		a.recordAttempt(c, err)
	}
}

// recordAttempt records and logs the result of an attempt.
func (a *ACME) recordAttempt(c *tls.Certificate, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.failures++
		a.problem = err.Error()
		a.o.Log.Warn("the authority issued no certificate", "error", err, "attempt", a.failures)
		return
	}
	a.failures, a.problem = 0, ""
	a.current.Store(c)
	a.o.Log.Info("serving a new certificate", "serial", c.Leaf.SerialNumber.Text(16), "expires", c.Leaf.NotAfter)
}

// retryDelays are the delays after failed attempts. Authorities limit failures, Let's Encrypt to five an hour.
var retryDelays = []time.Duration{time.Minute, 5 * time.Minute, 20 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour}

// nextAttempt returns the time from now until the next attempt.
func (a *ACME) nextAttempt(now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failures > 0 {
		return retryDelays[min(a.failures, len(retryDelays))-1]
	}
	c := a.current.Load()
	if c == nil {
		return 0
	}
	return max(0, renewalTime(c.Leaf).Sub(now))
}

// renewalTime returns when to renew c: when a third of its lifetime is left, or half if it lives for less than 10 days.
func renewalTime(c *x509.Certificate) time.Time {
	lifetime := c.NotAfter.Sub(c.NotBefore)
	left := lifetime / 3
	if lifetime < 10*24*time.Hour {
		left = lifetime / 2
	}
	return c.NotAfter.Add(-left)
}

// challengeKinds returns the kinds of challenges to try, in this order. HTTP-01 works through any proxy. TLS-ALPN-01 works only
// if this daemon has port 443.
func (a *ACME) challengeKinds() []string {
	if a.o.Plain {
		return []string{"http-01", "tls-alpn-01"}
	}
	return []string{"tls-alpn-01"}
}

// HTTP returns a handler that responds to the authority's HTTP-01 requests and passes all others to next.
func (a *ACME) HTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		response, ok := a.challengeResponses[r.URL.Path]
		a.mu.Unlock()
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte(response)) // the authority repeats a request that failed
	})
}

// TLS changes c so that its server completes the authority's TLS-ALPN-01 handshakes too. Those connections negotiate the protocol
// acme.ALPNProto and carry no data.
func (a *ACME) TLS(c *tls.Config) {
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) {
			return nil, nil
		}
		a.mu.Lock()
		challengeCert := a.challengeCerts[strings.ToLower(hello.ServerName)]
		a.mu.Unlock()
		if challengeCert == nil {
			return nil, fmt.Errorf("no TLS-ALPN-01 challenge for %q is pending", hello.ServerName)
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{acme.ALPNProto}, Certificates: []tls.Certificate{*challengeCert}}, nil
	}
}
