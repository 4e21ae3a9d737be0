package token

import (
	"context"
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
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(string(keySetJSON(i.kid))))}, nil
}

func (i *issuer) serve(kid string, broken bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.kid, i.broken = kid, broken
}

func (i *issuer) wantFetches(t *testing.T, fetches int) {
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
		v := newVerifier(t, Options{JWKS: "https://id.example/keys", Client: &http.Client{Transport: i}})
		try := func(kid string, want error) {
			t.Helper()
			claims := validClaims()
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
		i.wantFetches(t, 1)
		try("b", signal.ErrTokenInvalid) // just fetched: not again
		i.wantFetches(t, 1)
		i.serve("b", false)
		<-time.After(retryAfter)
		try("b", nil)
		try("a", signal.ErrTokenInvalid)
		i.wantFetches(t, 2)
		<-time.After(refreshAfter + time.Second)
		try("b", nil)
		i.wantFetches(t, 3)
		i.serve("b", true)
		<-time.After(refreshAfter + time.Second)
		try("b", nil) // though the set can't be fetched
		try("b", nil)
		i.wantFetches(t, 4)
		<-time.After(usableFor)
		try("b", signal.ErrUnavailable)
		i.serve("b", false)
		<-time.After(retryAfter)
		try("b", nil)
		i.wantFetches(t, 6)
		if _, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, secret, validClaims(), "b")); !errors.Is(err, signal.ErrTokenInvalid) {
			t.Errorf("a secret from the set is good: %v", err)
		}
	})
}

// A bearer who doesn't wait must not keep the keys from the others.
func TestFetchingOutlivesItsBearer(t *testing.T) {
	started := make(chan struct{})
	release := make(chan struct{})
	v := newVerifier(t, Options{JWKS: "https://id.example/keys", Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		close(started)
		select {
		case <-release:
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(string(keySetJSON("a"))))}, nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	})}})
	token := sign(t, jwt.SigningMethodEdDSA, edKey, validClaims(), "a")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := v.Verify(ctx, token)
		done <- err
	}()
	<-started
	cancel()
	close(release)
	if err := <-done; err != nil {
		t.Errorf("the set was not fetched: %v", err)
	}
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("nor is it there for the next: %v", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestPrefetch(t *testing.T) {
	i := &issuer{broken: true}
	v := newVerifier(t, Options{JWKS: "https://id.example/keys", Client: &http.Client{Transport: i}})
	if err := v.Prefetch(t.Context()); !errors.Is(err, errFetch) {
		t.Error(err)
	}
	if err := newVerifier(t, Options{Keys: everyKey}).Prefetch(t.Context()); err != nil {
		t.Error(err)
	}
}
