package credential

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const realm = "icebox.example"

var now = time.Unix(1_699_999_000, 0)

// knows returns a check that succeeds with the key of a client that has password.
func knows(username, password string) func([]byte) bool {
	want := LongTermKey(username, realm, password)
	return func(key []byte) bool { return bytes.Equal(key, want) }
}

func newVerifier(t *testing.T, o VerifierOptions) *Verifier {
	t.Helper()
	if o.Realm == "" {
		o.Realm = realm
	}
	v, err := NewVerifier(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestCoturnWorld checks the usernames that other applications issue. The
// passwords come from openssl dgst -sha1 -hmac north -binary | base64.
func TestCoturnWorld(t *testing.T) {
	v := newVerifier(t, VerifierOptions{Own: []byte("own"), Shared: [][]byte{[]byte("south"), []byte("north")}})
	for name, c := range map[string]struct{ username, password, user string }{
		"Nextcloud Talk, older":      {"1700000000", "CWyHi3zCeWqXBir9thl4m+iZPRY=", "1700000000"},
		"Nextcloud Talk":             {"1700000000:k3Jx9aLq0pVtWzYb", "3QD2OobyQ+18uHU8MsmI1Nc5My0=", "k3Jx9aLq0pVtWzYb"},
		"Synapse":                    {"1700000000:@alice:matrix.example.org", "8yUt078XxqiTfuD+w0yR4A3AtyU=", "@alice:matrix.example.org"},
		"Prosody":                    {"1700000000:prosody", "Z4uN5/qLxvZyGrTgsHt7R9QkJUA=", "prosody"},
		"LiveKit":                    {"1700000000:PA_x7Lm2QwErTyU", "9rm0CSl1fjqSXQdz7GH1z3WzkaM=", "PA_x7Lm2QwErTyU"},
		"galene":                     {"1700000000:galene", "B/Et5He/9Rbo7XUQtmFb+gLYtMg=", "galene"},
		"draft-uberti":               {"1700000000:alice", "Cd/49soE35ICqcJF/bCTn8Z4OyE=", "alice"},
		"user first":                 {"alice:1700000000", "fEiXa12G7lWCrwAwGzZRSDXRJfQ=", "alice"},
		"our form, a shared secret":  {"1700000000:alice.aaaaaaaaaaaab", "zAN6MGnpysMJ3OK0Ycjp+P5Iyiw=", "alice.aaaaaaaaaaaab"},
		"expiry:a:b is not expiry:a": {"1700000000:a:b", "hwIRGLA16PBzhCZVjQUDIjf+6Ig=", "a:b"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := v.Verify(c.username, now, knows(c.username, c.password))
			if err != nil {
				t.Fatal(err)
			}
			if got.Kind != Foreign || got.User != c.user || got.ID != "" || got.Username != c.username {
				t.Errorf("identity %+v, want foreign user %q", got, c.user)
			}
			if want := time.Unix(1700000000, 0); !got.Expires.Equal(want) {
				t.Errorf("expires %v, want %v", got.Expires, want)
			}
			if want := LongTermKey(c.username, realm, c.password); !bytes.Equal(got.Key, want) {
				t.Errorf("key %x, want %x", got.Key, want)
			}
		})
	}
}

func TestOrder(t *testing.T) {
	v := newVerifier(t, VerifierOptions{
		Own:    []byte("own"),
		Shared: [][]byte{[]byte("north")},
		Users: []User{
			{Name: "Al.ice@X", Password: "secret"},
			{Name: "stored", Key: LongTermKey("stored", realm, "pass")},
			{Name: "1700000000:static", Password: "p:w"},
			{Name: "マトリックス", Password: "TheMatrIX"},
		},
	})
	signed := func(secret, username string) string { return sign([]byte(secret), username) }
	const ours = "1700000000:alice.aaaaaaaaaaaab"
	for name, c := range map[string]struct {
		username, password string
		kind               Kind
		user               string
		err                error
	}{
		"static":                       {"Al.ice@X", "secret", Static, "Al.ice@X", nil},
		"static, wrong password":       {"Al.ice@X", "Secret", 0, "", ErrWrongPassword},
		"static, wrong case":           {"al.ice@x", "secret", 0, "", ErrUnknownUser},
		"static, stored key":           {"stored", "pass", Static, "stored", nil},
		"static, not ASCII":            {"マトリックス", "TheMatrIX", Static, "マトリックス", nil},
		"static that looks timed":      {"1700000000:static", "p:w", Static, "1700000000:static", nil},
		"static shadows the timed one": {"1700000000:static", signed("north", "1700000000:static"), 0, "", ErrWrongPassword},
		"own":                          {ours, signed("own", ours), Own, "alice", nil},
		"own form, shared secret":      {ours, signed("north", ours), Foreign, "alice.aaaaaaaaaaaab", nil},
		"foreign form, own secret":     {"1700000000:alice", signed("own", "1700000000:alice"), 0, "", ErrWrongPassword},
		"wrong secret":                 {"1700000000:alice", signed("west", "1700000000:alice"), 0, "", ErrWrongPassword},
		"signature of another name":    {"1700000001:alice", signed("north", "1700000000:alice"), 0, "", ErrWrongPassword},
		"expired":                      {"1:alice", signed("north", "1:alice"), Foreign, "alice", nil},
		"nobody":                       {"bob", "secret", 0, "", ErrUnknownUser},
		"empty":                        {"", "", 0, "", ErrUnknownUser},
		"too long":                     {"1:" + strings.Repeat("x", 507), "", 0, "", ErrUnknownUser},
		"milliseconds":                 {"1700000000000:alice", signed("north", "1700000000000:alice"), 0, "", ErrTooFarAhead},
		"overflow":                     {"18446744073709551617:a", signed("north", "18446744073709551617:a"), 0, "", ErrTooFarAhead},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := v.Verify(c.username, now, knows(c.username, c.password))
			if !errors.Is(err, c.err) || got.Kind != c.kind || got.User != c.user {
				t.Errorf("Verify = %v %q, %v; want %v %q, %v", got.Kind, got.User, err, c.kind, c.user, c.err)
			}
			if (got.Kind == Own) != (got.ID != "") || (got.Kind <= Static) != got.Expires.IsZero() {
				t.Errorf("identity %+v", got)
			}
		})
	}
}

func TestMaxFuture(t *testing.T) {
	for name, c := range map[string]struct {
		max, ahead time.Duration
		err        error
	}{
		"default, on the edge": {0, DefaultMaxFuture, nil},
		"default, beyond":      {0, DefaultMaxFuture + time.Second, ErrTooFarAhead},
		"an hour, on the edge": {time.Hour, time.Hour, nil},
		"an hour, beyond":      {time.Hour, time.Hour + time.Second, ErrTooFarAhead},
	} {
		v := newVerifier(t, VerifierOptions{Own: []byte("own"), MaxFuture: c.max})
		minted, err := NewMinter([]byte("own")).Mint("alice", c.ahead, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(minted.Username, now, knows(minted.Username, minted.Password)); !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
	}
}

// TestUnknownUserCostsOneCheck checks that Verify does the same work for unknown and known names, so that the response
// time does not reveal which names exist.
func TestUnknownUserCostsOneCheck(t *testing.T) {
	static := newVerifier(t, VerifierOptions{Users: []User{{Name: "alice", Password: "x"}}})
	own := newVerifier(t, VerifierOptions{Own: []byte("own")})
	for _, c := range []struct {
		v        *Verifier
		username string
		err      error
	}{
		{static, "alice", ErrWrongPassword},
		{static, "bob", ErrUnknownUser},
		{static, "1700000000:bob", ErrUnknownUser},
		{own, "1700000000:bob", ErrUnknownUser},
		{own, "1700000000:bob.aaaaaaaaaaaab", ErrWrongPassword},
	} {
		checks := 0
		_, err := c.v.Verify(c.username, now, func(key []byte) bool {
			checks++
			if len(key) != 16 {
				t.Errorf("%s: key of %d bytes", c.username, len(key))
			}
			return false
		})
		if !errors.Is(err, c.err) || checks != 1 {
			t.Errorf("%s: %d checks, %v; want 1, %v", c.username, checks, err, c.err)
		}
	}
	if _, err := static.Verify("bob", now, func([]byte) bool { return true }); !errors.Is(err, ErrUnknownUser) {
		t.Errorf("a check that always holds let bob in: %v", err)
	}
}

func TestNewVerifierRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		o    VerifierOptions
		want string
	}{
		"realm":       {VerifierOptions{}, "realm has 0 bytes, must have 1 to 763"},
		"max future":  {VerifierOptions{Realm: realm, MaxFuture: -1}, "max future is negative"},
		"empty":       {VerifierOptions{Realm: realm, Shared: [][]byte{[]byte("x"), {}}}, "shared secret 2 is empty"},
		"own shared":  {VerifierOptions{Realm: realm, Own: []byte("x"), Shared: [][]byte{[]byte("x")}}, "shared secret 1 is the daemon's own"},
		"no name":     {VerifierOptions{Realm: realm, Users: []User{{Password: "x"}}}, `user 1 (""): name has 0 bytes, must have 1 to 508`},
		"no password": {VerifierOptions{Realm: realm, Users: []User{{Name: "a"}}}, `user 1 ("a"): needs either a password or a key`},
		"both":        {VerifierOptions{Realm: realm, Users: []User{{Name: "a", Password: "x", Key: make([]byte, 16)}}}, `user 1 ("a"): needs either a password or a key`},
		"short key":   {VerifierOptions{Realm: realm, Users: []User{{Name: "a", Key: []byte{}}}}, `user 1 ("a"): key has 0 bytes, must have 16`},
		"duplicate": {
			VerifierOptions{Realm: realm, Users: []User{{Name: "a", Password: "x"}, {Name: "b", Password: "x"}, {Name: "a", Key: make([]byte, 16)}}},
			`user 3 ("a"): duplicate name`,
		},
		"all at once": {VerifierOptions{MaxFuture: -1}, "realm has 0 bytes, must have 1 to 763\nmax future is negative"},
	} {
		if _, err := NewVerifier(c.o); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestLongTermKey(t *testing.T) {
	// printf user:icebox.example:pass | md5sum
	if got := hex.EncodeToString(LongTermKey("user", realm, "pass")); got != "49345cbcb05b0d182cfe1a2a9d6ba229" {
		t.Errorf("key %s", got)
	}
}

// TestRFC5769LongTerm verifies the sample request of RFC 5769 section 2.4. The password is the result of SASLprep; see
// the package comment.
func TestRFC5769LongTerm(t *testing.T) {
	signed, err := hex.DecodeString("000100602112a44278ad3433c6ad72c029da412e" +
		"00060012e3839ee38388e383aae38383e382afe382b90000" +
		"0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f726700")
	if err != nil {
		t.Fatal(err)
	}
	const username = "マトリックス"
	v := newVerifier(t, VerifierOptions{Realm: "example.org", Users: []User{{Name: username, Password: "TheMatrIX"}}})
	if _, err := v.Verify(username, now, func(key []byte) bool {
		mac := hmac.New(sha1.New, key)
		mac.Write(signed)
		return hex.EncodeToString(mac.Sum(nil)) == "f67024656dd64a3e02b8e0712e85c9a28ca89666"
	}); err != nil {
		t.Error(err)
	}
}

func TestKindString(t *testing.T) {
	if got := fmt.Sprint(Static, Own, Foreign, Kind(0)); got != "static own foreign kind 0" {
		t.Error(got)
	}
}

func BenchmarkVerify(b *testing.B) {
	v, err := NewVerifier(VerifierOptions{Realm: realm, Own: []byte("own"), Shared: [][]byte{[]byte("north")}})
	if err != nil {
		b.Fatal(err)
	}
	c, err := NewMinter([]byte("own")).Mint("alice", time.Hour, now)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := v.Verify(c.Username, now, func([]byte) bool { return true }); err != nil {
			b.Fatal(err)
		}
	}
}
