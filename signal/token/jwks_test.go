package token

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"icebox/signal"
)

// issuer serves a key set without a network, so that time can be the test's.
type issuer struct {
	mu      sync.Mutex
	kid     string
	broken  bool
	fetches int
}

func (i *issuer) RoundTrip(*http.Request) (*http.Response, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetches++
	if i.broken {
		return nil, errors.New("nobody answers")
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(string(set(i.kid))))}, nil
}

func (i *issuer) set(kid string, broken bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.kid, i.broken = kid, broken
}

func (i *issuer) wants(t *testing.T, fetches int) {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fetches != fetches {
		t.Errorf("the set was fetched %d times, want %d", i.fetches, fetches)
	}
}

func TestKeySetIsCachedAndRotated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{kid: "a"}
		v := verifier(t, Options{JWKS: "https://id.example/keys", Client: &http.Client{Transport: i}})
		try := func(kid string, want error) {
			t.Helper()
			claims := good()
			claims["exp"] = time.Now().Add(100 * 24 * time.Hour).Unix()
			if _, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodEdDSA, edKey, claims, kid)); !errors.Is(err, want) {
				t.Errorf("key %q: %v, want %v", kid, err, want)
			}
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { try("a", nil) })
		}
		all.Wait()
		try("", nil)
		i.wants(t, 1)
		try("b", signal.ErrTokenInvalid) // just fetched: not again
		i.wants(t, 1)
		i.set("b", false)
		<-time.After(retryAfter)
		try("b", nil)
		try("a", signal.ErrTokenInvalid)
		i.wants(t, 2)
		<-time.After(refreshAfter + time.Second)
		try("b", nil)
		i.wants(t, 3)
		i.set("b", true)
		<-time.After(refreshAfter + time.Second)
		try("b", nil) // though the set can't be fetched
		try("b", nil)
		i.wants(t, 4)
		<-time.After(lastsFor)
		try("b", signal.ErrUnavailable)
		i.set("b", false)
		<-time.After(retryAfter)
		try("b", nil)
		i.wants(t, 6)
		if _, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, secret, good(), "b")); !errors.Is(err, signal.ErrTokenInvalid) {
			t.Errorf("a secret from the set is good: %v", err)
		}
	})
}

func TestPrefetch(t *testing.T) {
	i := &issuer{broken: true}
	v := verifier(t, Options{JWKS: "https://id.example/keys", Client: &http.Client{Transport: i}})
	if err := v.Prefetch(t.Context()); !errors.Is(err, errFetch) {
		t.Error(err)
	}
	if err := verifier(t, Options{Keys: everyKey}).Prefetch(t.Context()); err != nil {
		t.Error(err)
	}
}
