package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"icebox/signal"
)

var secret = []byte("a secret that has thirty-two bytes")

// Private keys of each kind, generated once.
var (
	rsaKey, _   = rsa.GenerateKey(rand.Reader, 2048)
	ecKey, _    = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384Key, _  = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, edKey, _ = ed25519.GenerateKey(rand.Reader)
	smallKey, _ = rsa.GenerateKey(rand.Reader, 1024)
	publicEd    = edKey.Public().(ed25519.PublicKey)
	everyKey    = []Key{{Key: secret}, {Key: &rsaKey.PublicKey}, {Key: &ecKey.PublicKey}, {Key: publicEd}}
)

func validClaims() jwt.MapClaims {
	return jwt.MapClaims{"sub": "alice", "exp": time.Now().Add(time.Hour).Unix()}
}

func sign(t *testing.T, m jwt.SigningMethod, key any, claims jwt.MapClaims, kid string) string {
	t.Helper()
	token := jwt.NewWithClaims(m, claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newVerifier(t *testing.T, o Options) *Verifier {
	t.Helper()
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAlgorithms(t *testing.T) {
	v := newVerifier(t, Options{Keys: everyKey})
	for name, c := range map[string]struct {
		method jwt.SigningMethod
		key    any
		want   error
	}{
		"HS256":                 {jwt.SigningMethodHS256, secret, nil},
		"RS256":                 {jwt.SigningMethodRS256, rsaKey, nil},
		"ES256":                 {jwt.SigningMethodES256, ecKey, nil},
		"EdDSA":                 {jwt.SigningMethodEdDSA, edKey, nil},
		"none":                  {jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, signal.ErrTokenInvalid},
		"HS512":                 {jwt.SigningMethodHS512, secret, signal.ErrTokenInvalid},
		"another secret":        {jwt.SigningMethodHS256, []byte("wrong"), signal.ErrTokenInvalid},
		"a public key's bytes":  {jwt.SigningMethodHS256, []byte(publicEd), signal.ErrTokenInvalid},
		"a public key's PEM":    {jwt.SigningMethodHS256, toPEM(t, &rsaKey.PublicKey), signal.ErrTokenInvalid},
		"PS256 with an RSA key": {jwt.SigningMethodPS256, rsaKey, signal.ErrTokenInvalid},
		"ES384":                 {jwt.SigningMethodES384, p384Key, signal.ErrTokenInvalid},
	} {
		g, err := v.Verify(t.Context(), sign(t, c.method, c.key, validClaims(), ""))
		if !errors.Is(err, c.want) || err == nil && g.Name != "alice" {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
}

func TestClaims(t *testing.T) {
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	o := Options{Keys: everyKey, Issuer: "https://id.example", Audience: "icebox"}
	for name, c := range map[string]struct {
		claims jwt.MapClaims
		want   error
		calls  []string
	}{
		"valid":            {jwt.MapClaims{}, nil, nil},
		"two audiences":    {jwt.MapClaims{"aud": []string{"x", "icebox"}}, nil, nil},
		"within leeway":    {jwt.MapClaims{"exp": in(-10 * time.Second)}, nil, nil},
		"expired":          {jwt.MapClaims{"exp": in(-time.Minute)}, signal.ErrTokenExpired, nil},
		"never expires":    {jwt.MapClaims{"exp": nil}, signal.ErrTokenInvalid, nil},
		"not yet":          {jwt.MapClaims{"nbf": in(time.Hour)}, signal.ErrTokenInvalid, nil},
		"another issuer":   {jwt.MapClaims{"iss": "https://evil.example"}, signal.ErrTokenInvalid, nil},
		"another audience": {jwt.MapClaims{"aud": "other"}, signal.ErrTokenInvalid, nil},
		"no audience":      {jwt.MapClaims{"aud": nil}, signal.ErrTokenInvalid, nil},
		"no name":          {jwt.MapClaims{"sub": ""}, signal.ErrTokenInvalid, nil},
		"invalid name":     {jwt.MapClaims{"sub": "a\nb"}, signal.ErrTokenInvalid, nil},
		"number as a name": {jwt.MapClaims{"sub": 1}, signal.ErrTokenInvalid, nil},
		"calls":            {jwt.MapClaims{"calls": []string{"a", "b"}}, nil, []string{"a", "b"}},
		"no calls":         {jwt.MapClaims{"calls": []string{}}, nil, []string{}},
		"calls as text":    {jwt.MapClaims{"calls": "a"}, signal.ErrTokenInvalid, nil},
		"calls as numbers": {jwt.MapClaims{"calls": []int{1}}, signal.ErrTokenInvalid, nil},
	} {
		claims := validClaims()
		claims["iss"], claims["aud"] = "https://id.example", "icebox"
		maps.Copy(claims, c.claims)
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
		g, err := newVerifier(t, o).Verify(t.Context(), sign(t, jwt.SigningMethodHS256, secret, claims, ""))
		if !errors.Is(err, c.want) || err == nil && (g.Limited != (c.calls != nil) || !slices.Equal(g.Calls, c.calls)) {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
	other := newVerifier(t, Options{Keys: everyKey, NameClaim: "login", CallsClaim: "rooms"})
	claims := validClaims()
	claims["login"], claims["rooms"] = "al", []string{"r"}
	if g, err := other.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, secret, claims, "")); err != nil || g.Name != "al" || len(g.Calls) != 1 {
		t.Errorf("other claims: %+v, %v", g, err)
	}
}

func TestTokenWithCriticalExtensionsIsRefused(t *testing.T) {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, validClaims())
	token.Header["crit"] = []string{"b64"}
	text, err := token.SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newVerifier(t, Options{Keys: everyKey}).Verify(t.Context(), text); !errors.Is(err, signal.ErrTokenInvalid) {
		t.Errorf("got %v, want %v", err, signal.ErrTokenInvalid)
	}
}

func TestMalformedTokensAreRefused(t *testing.T) {
	v := newVerifier(t, Options{Keys: everyKey})
	for _, s := range []string{"", ".", "..", "a.b.c", "e30.e30.", strings.Repeat("a", maxTokenBytes+1)} {
		if _, err := v.Verify(t.Context(), s); !errors.Is(err, signal.ErrTokenInvalid) {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}

func toPEM(t *testing.T, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// keySetJSON returns a key set with a key of each kind, and some keys that are unusable.
func keySetJSON(kid string) []byte {
	point, _ := ecKey.PublicKey.Bytes()
	s, _ := json.Marshal(map[string]any{"keys": []any{
		map[string]any{"kty": "RSA", "kid": kid, "n": b64(rsaKey.N.Bytes()), "e": b64(big.NewInt(int64(rsaKey.E)).Bytes()), "use": "sig"},
		map[string]any{"kty": "EC", "kid": kid, "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:]), "alg": "ES256"},
		map[string]any{"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": b64(publicEd)},
		map[string]any{"kty": "oct", "kid": kid, "k": b64(secret)},
		map[string]any{"kty": "RSA", "kid": kid, "n": b64(rsaKey.N.Bytes()), "e": "AQAB", "use": "enc"},
		map[string]any{"kty": "EC", "crv": "P-256", "x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))},
		map[string]any{"kty": "EC", "crv": "P-521"}, map[string]any{"kty": "new"}, 7, nil,
	}})
	return s
}

func TestParse(t *testing.T) {
	keys := func(data ...[]byte) int {
		t.Helper()
		k, err := Parse(slices.Concat(data...))
		if err != nil {
			t.Error(err)
		}
		return len(k)
	}
	if n := keys(toPEM(t, &rsaKey.PublicKey), toPEM(t, &ecKey.PublicKey), toPEM(t, publicEd)); n != 3 {
		t.Errorf("%d keys in PEM, want 3", n)
	}
	if n := keys(keySetJSON("a")); n != 4 {
		t.Errorf("%d keys in a set, want 4", n)
	}
	private, _ := x509.MarshalPKCS8PrivateKey(ecKey)
	for name, data := range map[string][]byte{
		"nothing": nil, "junk": []byte("junk"), "an empty set": []byte(`{"keys":[]}`), "half a set": []byte(`{"keys":`),
		"a private key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		"a short key":   toPEM(t, &smallKey.PublicKey), "another curve": toPEM(t, &p384Key.PublicKey),
	} {
		if k, err := Parse(data); err == nil {
			t.Errorf("%s: got %d keys, want an error", name, len(k))
		}
	}
}

func TestInvalidOptionsAreRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"no key":              {},
		"a short secret":      {Keys: []Key{{Key: []byte("short")}}},
		"unknown type of key": {Keys: []Key{{Key: 7}}},
		"plain http":          {JWKS: "http://id.example/keys"},
		"no URL":              {JWKS: "keys.json"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: New returned no error", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(keySetJSON("a"))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"))
	f.Add([]byte(`{"kty":"RSA","n":"AA","e":"AQAB"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := Parse(data)
		if (len(keys) == 0) != (err != nil) {
			t.Fatalf("got %d keys and error %v, want either", len(keys), err)
		}
		for _, k := range keys {
			if _, err := k.algorithm(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzVerify(f *testing.F) {
	v, err := New(Options{Keys: everyKey})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("e30.e30.e30")
	token, _ := jwt.NewWithClaims(jwt.SigningMethodHS256, validClaims()).SignedString([]byte("another secret of thirty-two bytes"))
	f.Add(token)
	f.Fuzz(func(t *testing.T, s string) {
		if g, err := v.Verify(context.Background(), s); err == nil {
			t.Fatalf("%q was accepted as a token of %q", s, g.Name)
		}
	})
}
