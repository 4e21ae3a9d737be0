package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"icebox/cmd/icebox/statedir"
)

const directory = "https://ca.example.org/directory"

func newACME(t *testing.T, d *statedir.Dir, directory string, names ...string) *ACME {
	t.Helper()
	a, err := NewACME(d, ACMEOptions{Names: names, Directory: directory, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// issue stores a certificate as if the authority had issued it.
func issue(t *testing.T, a *ACME, life time.Duration, names ...string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Add(-life / 2)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), DNSNames: names, NotBefore: begin, NotAfter: begin.Add(life)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.store(key, [][]byte{der})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestIssuedCertificateIsStored(t *testing.T) {
	d := state(t)
	a := newACME(t, d, directory, "a.example.org", "b.example.org")
	if _, err := a.Get(); err == nil || !strings.Contains(a.Problem(), "no certificate for a.example.org, b.example.org yet") {
		t.Errorf("before the first: %v, %q", err, a.Problem())
	}
	if wait := a.nextAttempt(time.Now()); wait != 0 {
		t.Errorf("the first attempt is in %v, want now", wait)
	}
	c := issue(t, a, 90*24*time.Hour, "a.example.org", "b.example.org")
	a.recordAttempt(c, nil)
	if got, err := a.Get(); err != nil || got != c || a.Problem() != "" {
		t.Errorf("got %v, %v, %q", got, err, a.Problem())
	}
	for name, test := range map[string]struct {
		a    *ACME
		kept bool
	}{
		"a restart":         {newACME(t, d, directory, "b.example.org", "a.example.org"), true},
		"fewer names":       {newACME(t, d, directory, "a.example.org"), true},
		"another name":      {newACME(t, d, directory, "a.example.org", "c.example.org"), false},
		"another authority": {newACME(t, d, "https://staging.example.org/directory", "a.example.org"), false},
	} {
		if _, err := test.a.Get(); (err == nil) != test.kept {
			t.Errorf("%s: %v", name, err)
		}
	}
	if first, err := a.accountKey(); err != nil {
		t.Error(err)
	} else if again, err := newACME(t, d, directory).accountKey(); err != nil || !first.(*ecdsa.PrivateKey).Equal(again) {
		t.Errorf("a restart made a new account: %v", err)
	}
	issue(t, a, -time.Hour, "a.example.org")
	if _, err := newACME(t, d, directory, "a.example.org").Get(); err == nil {
		t.Error("an expired certificate was loaded")
	}
}

func TestRenewalTime(t *testing.T) {
	now := time.Now()
	for life, left := range map[time.Duration]time.Duration{
		90 * 24 * time.Hour: 30 * 24 * time.Hour,
		45 * 24 * time.Hour: 15 * 24 * time.Hour,
		6 * 24 * time.Hour:  3 * 24 * time.Hour,
	} {
		c := &x509.Certificate{NotBefore: now, NotAfter: now.Add(life)}
		if got := c.NotAfter.Sub(renewalTime(c)); got != left {
			t.Errorf("%v: renewed with %v left, want %v", life, got, left)
		}
	}
}

func TestProblem(t *testing.T) {
	a := newACME(t, state(t), directory, "a.example.org")
	refused := &acme.AuthorizationError{Identifier: "a.example.org", Errors: []error{&acme.Error{StatusCode: 400, Detail: "connection refused at 192.0.2.1"}}}
	waits := []time.Duration{}
	for range 8 {
		a.recordAttempt(nil, authorityReasons(refused))
		waits = append(waits, a.nextAttempt(time.Now()))
	}
	if waits[0] != time.Minute || waits[7] != 6*time.Hour {
		t.Errorf("waits %v", waits)
	}
	if want := "there is no certificate for a.example.org yet: a.example.org: the authority says: connection refused at 192.0.2.1"; a.Problem() != want {
		t.Errorf("got %q, want %q", a.Problem(), want)
	}
	a.recordAttempt(issue(t, a, time.Hour, "a.example.org"), nil)
	a.recordAttempt(nil, errors.New("order: no route"))
	if !strings.Contains(a.Problem(), "could not be renewed: order: no route") || a.nextAttempt(time.Now()) != time.Minute {
		t.Errorf("got %q", a.Problem())
	}
}

func TestHTTPChallenge(t *testing.T) {
	a := newACME(t, state(t), directory, "a.example.org")
	key, err := a.accountKey()
	if err != nil {
		t.Fatal(err)
	}
	h := a.HTTP(http.NotFoundHandler())
	ask := func() (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/.well-known/acme-challenge/token", nil))
		return w.Code, w.Body.String()
	}
	if code, _ := ask(); code != http.StatusNotFound {
		t.Errorf("a response without a challenge: status %d", code)
	}
	done, err := a.respondToChallenge(&acme.Client{Key: key}, "http-01", "token", "a.example.org")
	if err != nil {
		t.Fatal(err)
	}
	if code, text := ask(); code != http.StatusOK || !strings.HasPrefix(text, "token.") {
		t.Errorf("got %d %s", code, text)
	}
	done()
	if code, _ := ask(); code != http.StatusNotFound {
		t.Errorf("responds after the challenge was completed: status %d", code)
	}
}

func TestTLSChallenge(t *testing.T) {
	a := newACME(t, state(t), directory, "a.example.org")
	key, err := a.accountKey()
	if err != nil {
		t.Fatal(err)
	}
	a.recordAttempt(issue(t, a, time.Hour, "a.example.org"), nil)
	server := Source(a.Get).Config("h2", "http/1.1")
	a.TLS(server)
	shake := func(protocols ...string) (tls.ConnectionState, error) {
		near, far := net.Pipe()
		defer func() { _, _ = near.Close(), far.Close() }()
		go func() { _ = tls.Server(far, server).Handshake() }()
		c := tls.Client(near, &tls.Config{ServerName: "a.example.org", NextProtos: protocols, InsecureSkipVerify: true})
		_ = near.SetDeadline(time.Now().Add(10 * time.Second))
		err := c.Handshake()
		return c.ConnectionState(), err
	}
	if _, err := shake(acme.ALPNProto); err == nil {
		t.Error("completed the handshake for a name without a challenge")
	}
	done, err := a.respondToChallenge(&acme.Client{Key: key}, "tls-alpn-01", "token", "A.example.org")
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	got, err := shake(acme.ALPNProto)
	if err != nil || got.NegotiatedProtocol != acme.ALPNProto || got.PeerCertificates[0].SerialNumber.Int64() == 7 {
		t.Errorf("the authority got %q, %v", got.NegotiatedProtocol, err)
	}
	got, err = shake("h2", "http/1.1")
	if err != nil || got.NegotiatedProtocol != "h2" || got.PeerCertificates[0].SerialNumber.Int64() != 7 {
		t.Errorf("a browser got %q, %v", got.NegotiatedProtocol, err)
	}
}
