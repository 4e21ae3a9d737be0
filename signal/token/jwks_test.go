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

// issuer is a fake HTTP transport that serves a key set. It uses no network, so it works in a synctest bubble.
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
		return nil, errors.New("no connection")
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
		verify := func(kid string, want error) {
			t.Helper()
			claims := validClaims()
			claims["exp"] = time.Now().Add(100 * 24 * time.Hour).Unix()
			if _, err := v.Verify(t.Context(), sign(t, jwt.SigningMethodEdDSA, edKey, claims, kid)); !errors.Is(err, want) {
				t.Errorf("key %q: %v, want %v", kid, err, want)
			}
		}
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { verify("a", nil) })
		}
		all.Wait()
		verify("", nil)
		i.wantFetches(t, 1)
		verify("b", signal.ErrTokenInvalid) // the set was fetched less than 10 s ago, so it is not fetched again
		i.wantFetches(t, 1)
		i.serve("b", false)
		<-time.After(retryAfter)
		verify("b", nil)
		verify("a", signal.ErrTokenInvalid)
		i.wantFetches(t, 2)
		<-time.After(refreshAfter + time.Second)
		verify("b", nil)
		i.wantFetches(t, 3)
		i.serve("b", true)
		<-time.After(refreshAfter + time.Second)
		verify("b", nil) // the fetch fails, and the old keys remain in use
		verify("b", nil)
		i.wantFetches(t, 4)
		<-time.After(usableFor)
		verify("b", signal.ErrUnavailable)
		i.serve("b", false)
		<-time.After(retryAfter)
		verify("b", nil)
		i.wantFetches(t, 6)
		token := sign(t, jwt.SigningMethodHS256, secret, validClaims(), "b")
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, signal.ErrTokenInvalid) {
			t.Errorf("a token signed with a secret of the set: %v, want %v", err, signal.ErrTokenInvalid)
		}
	})
}

// The set is fetched even if the client whose token needs it disconnects.
func TestFetchContinuesWhenTheBearerDisconnects(t *testing.T) {
	started := make(chan struct{})
	release := make(chan struct{})
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		close(started)
		select {
		case <-release:
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(string(keySetJSON("a"))))}, nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	})}
	v := newVerifier(t, Options{JWKS: "https://id.example/keys", Client: client})
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
		t.Errorf("the first token: %v", err)
	}
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("the next token: %v", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestPrefetch(t *testing.T) {
	i := &issuer{broken: true}
	v := newVerifier(t, Options{JWKS: "https://id.example/keys", Client: &http.Client{Transport: i}})
	if err := v.Prefetch(t.Context()); !errors.Is(err, errFetch) {
		t.Errorf("got %v, want %v", err, errFetch)
	}
	if err := newVerifier(t, Options{Keys: everyKey}).Prefetch(t.Context()); err != nil {
		t.Error(err)
	}
}
