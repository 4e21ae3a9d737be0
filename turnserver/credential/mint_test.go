package credential

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestMintedVerifies(t *testing.T) {
	secret := []byte("own")
	m := NewMinter(secret)
	v := newVerifier(t, VerifierOptions{Own: secret, Shared: [][]byte{[]byte("north")}})
	secret[0] = 'O' // both keep copies
	rnd := rand.New(rand.NewPCG(1, 2))
	seen := make(map[string]bool)
	for range 2000 {
		raw := make([]byte, rnd.IntN(162))
		for i := range raw {
			raw[i] = byte(rnd.Uint32())
		}
		user, ttl := string(raw), time.Second+time.Duration(rnd.Int64N(int64(DefaultMaxFuture-time.Second)))
		c, err := m.Mint(user, ttl, now)
		if err != nil {
			t.Fatalf("user %q: %v", user, err)
		}
		if late := now.Add(ttl).Sub(c.Expires); late < 0 || late >= time.Second {
			t.Fatalf("expires %v before the end of its lifetime", late)
		}
		got, err := v.Verify(c.Username, now, knows(c.Username, c.Password))
		if err != nil {
			t.Fatalf("user %q: %v", user, err)
		}
		if user == "" {
			user = c.Username
		}
		if got.User != user || got.ID != c.ID || got.Kind != Own || !got.Expires.Equal(c.Expires) {
			t.Fatalf("minted %+v for %q, verified %+v", c, user, got)
		}
		if seen[c.ID] {
			t.Fatalf("id %s came twice", c.ID)
		}
		seen[c.ID] = true
	}
}

func TestMintRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		secret, user string
		ttl          time.Duration
		now          time.Time
		want         string
	}{
		"no secret":     {"", "alice", time.Hour, now, "mint credential: no secret"},
		"no lifetime":   {"own", "alice", time.Second - 1, now, "mint credential: lifetime shorter than a second or expiry out of range"},
		"before 1970":   {"own", "alice", time.Hour, time.Time{}, "mint credential: lifetime shorter than a second or expiry out of range"},
		"user too long": {"own", strings.Repeat("x", 484), time.Hour, now, "mint credential: username of 509 bytes, at most 508 allowed"},
	} {
		if got, err := NewMinter([]byte(c.secret)).Mint(c.user, c.ttl, c.now); err == nil || err.Error() != c.want {
			t.Errorf("%s: %+v, %v; want %q", name, got, err, c.want)
		}
	}
	if _, err := NewMinter([]byte("own")).Mint(strings.Repeat("x", 483), time.Hour, now); err != nil {
		t.Error(err)
	}
}

func BenchmarkMint(b *testing.B) {
	m := NewMinter([]byte("own"))
	for b.Loop() {
		if _, err := m.Mint("alice", time.Hour, now); err != nil {
			b.Fatal(err)
		}
	}
}

// Two credentials have the same Origin if and only if they were minted for the same origin, no matter for which user.
func TestOrigin(t *testing.T) {
	now := time.Now()
	m := NewMinter([]byte("own"))
	v, err := NewVerifier(VerifierOptions{Realm: "r", Own: []byte("own")})
	if err != nil {
		t.Fatal(err)
	}
	origin := func(user, from string) string {
		c, err := m.MintFor(user, from, time.Hour, now)
		if err != nil {
			t.Fatal(err)
		}
		id, err := v.Verify(c.Username, now, func(key []byte) bool {
			return string(key) == string(LongTermKey(c.Username, "r", c.Password))
		})
		if err != nil || id.ID != c.ID || id.User != user {
			t.Fatalf("Verify: %+v, %v", id, err)
		}
		return id.Origin
	}
	a := origin("alice", "192.0.2.1/32")
	if a == "" || a != origin("bob", "192.0.2.1/32") || a == origin("alice", "192.0.2.2/32") {
		t.Errorf("origin %q does not tell two addresses apart", a)
	}
}
