package pocketbase

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// tokenLife is how long a token is good for.
const tokenLife = 24 * time.Hour

// maxToken is longer than any token of ours, in bytes.
const maxToken = 4 << 10

// person is who sends a request: a user, in one of its sessions.
type person struct {
	user     string // the ID of its record
	signInID string // a sign-in, with what its token was refreshed to
	identity string // what it signed in as
	account  string // what proves that the user's password is still the same; "" for who is not among the configured users
}

// same reports whether two are the same user, or share a session, as two tabs of a browser do, the SDK having one place for tokens.
func (p person) same(other person) bool { return p.user == other.user || p.signInID == other.signInID }

// claims are what the SDK reads of a token, exp, and what we do.
type claims struct {
	jwt.RegisteredClaims
	ID         string `json:"id"`
	Type       string `json:"type"`
	Collection string `json:"collectionId"`
	Session    string `json:"sid"`
	Identity   string `json:"idn"`
	Account    string `json:"acc,omitempty"`
}

// signer makes what only this daemon can make, and the same after a restart.
type signer struct {
	key    []byte
	parser *jwt.Parser
}

func newSigner(key []byte) *signer {
	return &signer{key: key, parser: jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())}
}

// sign returns what shows that its bearer is p, until then.
func (s *signer) sign(p person, until time.Time) string {
	c := claims{
		RegisteredClaims: jwt.RegisteredClaims{ExpiresAt: jwt.NewNumericDate(until)},
		ID:               p.user, Type: "auth", Collection: collectionIDs[users],
		Session: p.signInID, Identity: p.identity, Account: p.account,
	}
	signed, _ := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(s.key) // fails only for keys of another type
	return signed
}

// verify returns whose token it is, and until when it is good.
func (s *signer) verify(token string) (p person, until time.Time, err error) {
	if len(token) > maxToken {
		return person{}, time.Time{}, errors.New("the token is too long")
	}
	var c claims
	if _, err := s.parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return s.key, nil }); err != nil {
		return person{}, time.Time{}, err
	}
	return person{user: c.ID, signInID: c.Session, identity: c.Identity, account: c.Account}, c.ExpiresAt.Time, nil
}

// mac is a hash of texts that nobody else can make.
func (s *signer) mac(texts ...string) []byte {
	h := hmac.New(sha256.New, s.key)
	for _, t := range texts {
		_ = binary.Write(h, binary.BigEndian, uint64(len(t))) // a hash can't fail
		h.Write([]byte(t))
	}
	return h.Sum(nil)
}
