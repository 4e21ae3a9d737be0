package pocketbase

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokenLife is how long a token is valid, unless it was issued for a JSON Web Token that expires earlier.
const tokenLife = 24 * time.Hour

// maxToken is the length in bytes above which a token is not parsed. Every token that this package issues is shorter.
const maxToken = 4 << 10

// person is the sender of a request: a user and one of its sign-ins.
type person struct {
	user     string // ID of the user's record
	signInID string // random; stays the same when the token is refreshed
	identity string // the name that the user signed in with, or the name in its JSON Web Token
	account  string // hash of the configured identity and password; "" for a visitor without a configured account
}

// same reports whether two persons are the same user or share a sign-in. Either is enough, because two tabs of a browser
// share one stored token: a sign-in in one tab changes the sign-in ID, and for a visitor perhaps the user, that the other
// tab sends.
func (p person) same(other person) bool { return p.user == other.user || p.signInID == other.signInID }

// claims are the contents of a token. The SDK reads only exp.
type claims struct {
	jwt.RegisteredClaims
	ID         string `json:"id"`
	Type       string `json:"type"`
	Collection string `json:"collectionId"`
	SignInID   string `json:"sid"`
	Identity   string `json:"idn"`
	Account    string `json:"acc,omitempty"`
}

// signer signs and verifies tokens and derives IDs with the daemon's secret key. The results are the same after a restart.
type signer struct {
	key    []byte
	parser *jwt.Parser
}

func newSigner(key []byte) *signer {
	return &signer{key: key, parser: jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())}
}

// sign returns a token for p that expires at until.
func (s *signer) sign(p person, until time.Time) string {
	c := claims{
		RegisteredClaims: jwt.RegisteredClaims{ExpiresAt: jwt.NewNumericDate(until)},
		ID:               p.user, Type: "auth", Collection: collectionIDs[users],
		SignInID: p.signInID, Identity: p.identity, Account: p.account,
	}
	signed, _ := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(s.key) // fails only for keys of another type
	return signed
}

// verify checks a token's signature and expiry, and returns its owner and the expiry. The caller must still check that the
// owner's account is valid; see accounts.isValid.
func (s *signer) verify(token string) (p person, until time.Time, err error) {
	if len(token) > maxToken {
		return person{}, time.Time{}, errors.New("token is too long")
	}
	var c claims
	if _, err := s.parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return s.key, nil }); err != nil {
		return person{}, time.Time{}, err
	}
	return person{user: c.ID, signInID: c.SignInID, identity: c.Identity, account: c.Account}, c.ExpiresAt.Time, nil
}

// mac returns an HMAC of the texts. Each text is preceded by its length, so different lists never have the same input.
func (s *signer) mac(texts ...string) []byte {
	h := hmac.New(sha256.New, s.key)
	for _, t := range texts {
		_ = binary.Write(h, binary.BigEndian, uint64(len(t))) // a hash can't fail
		h.Write([]byte(t))
	}
	return h.Sum(nil)
}
