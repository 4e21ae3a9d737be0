package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	fetchTimeout = 5 * time.Second
	refreshAfter = 10 * time.Minute // age of a set that is fetched again
	retryAfter   = 10 * time.Second // shortest time between two fetches
	usableFor    = 24 * time.Hour   // age up to which a set is used if fetching fails
	maxSetBytes  = 1 << 20
)

var errFetch = errors.New("could not fetch the key set")

// keySet is a JSON Web Key Set at a URL.
type keySet struct {
	url    string
	client *http.Client

	fetching sync.Mutex // held during a fetch

	mu      sync.Mutex
	current []Key
	fetched time.Time
	tried   time.Time // when the latest fetch ended, successful or not
	failure error     // of the latest fetch, or nil
}

// keys returns the keys of the set. It fetches the set first if it is old or lacks the key ID.
func (s *keySet) keys(ctx context.Context, id string) ([]Key, error) {
	keys, has, due := s.cached(id)
	if !due {
		return keys, nil
	}
	if !s.fetching.TryLock() {
		if has {
			return keys, nil // another goroutine is fetching; the cached keys suffice meanwhile
		}
		s.fetching.Lock()
	}
	defer s.fetching.Unlock()
	if keys, _, due = s.cached(id); !due { // another goroutine has fetched the set
		return keys, nil
	}
	s.mu.Lock()
	tooSoon := !s.tried.IsZero() && time.Since(s.tried) < retryAfter
	failure := s.failure
	s.mu.Unlock()
	if !tooSoon {
		fetched, err := s.fetch(ctx)
		failure = s.store(fetched, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if failure != nil && (s.fetched.IsZero() || time.Since(s.fetched) > usableFor) {
		return nil, failure
	}
	return s.current, nil
}

// cached returns the keys fetched last. has reports whether they are usable and contain the key ID, and due whether the set
// should be fetched.
func (s *keySet) cached(id string) (keys []Key, has, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := time.Since(s.fetched)
	has = age <= usableFor && slices.ContainsFunc(s.current, func(k Key) bool {
		return id == "" || k.ID == "" || k.ID == id
	})
	return s.current, has, !has || age > refreshAfter
}

func (s *keySet) store(keys []Key, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried, s.failure = time.Now(), err
	if err == nil {
		s.current, s.fetched = keys, s.tried
	}
	return err
}

func (s *keySet) fetch(ctx context.Context) ([]Key, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFetch, err)
	}
	r.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFetch, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSetBytes))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFetch, err)
	}
	keys, err := parseSet(body, false)
	if err == nil && len(keys) == 0 {
		err = errors.New("the set contains no usable key")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFetch, err)
	}
	return keys, nil
}
