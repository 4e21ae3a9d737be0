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
	fetchWait    = 5 * time.Second
	refreshAfter = 10 * time.Minute
	retryAfter   = 10 * time.Second
	usableFor    = 24 * time.Hour
	maxSetBytes  = 1 << 20
)

var errFetch = errors.New("the key set can't be fetched")

// keySet is a JSON Web Key Set at a URL.
type keySet struct {
	url    string
	client *http.Client

	fetching sync.Mutex // held by who fetches

	mu      sync.Mutex
	current []Key
	fetched time.Time
	tried   time.Time
	failure error // of the latest try
}

// keys returns the set, fetched anew if it is old or lacks a key ID.
func (s *keySet) keys(ctx context.Context, id string) ([]Key, error) {
	keys, has, due := s.cached(id)
	if !due {
		return keys, nil
	}
	if !s.fetching.TryLock() {
		if has {
			return keys, nil // old ones do while somebody fetches
		}
		s.fetching.Lock()
	}
	defer s.fetching.Unlock()
	if keys, _, due = s.cached(id); !due { // who held the lock may have brought it
		return keys, nil
	}
	s.mu.Lock()
	soon := !s.tried.IsZero() && time.Since(s.tried) < retryAfter
	failure := s.failure
	s.mu.Unlock()
	if !soon {
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

// cached returns the set as it is, whether it has the key ID and may still be used, and whether it should be
// fetched.
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
	ctx, cancel := context.WithTimeout(ctx, fetchWait)
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
		err = errors.New("there is no key to use in it")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFetch, err)
	}
	return keys, nil
}
