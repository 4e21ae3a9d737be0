package credential

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"
)

var (
	errNoSecret = errors.New("mint credential: no secret")
	errTTL      = errors.New("mint credential: lifetime shorter than a second or expiry out of range")
)

// A Credential is a username and a password with which one client authenticates to TURN until Expires.
type Credential struct {
	ID                 string // identifies this credential in sessions and revocations
	Username, Password string
	Expires            time.Time // whole seconds, UTC
}

// Minter issues time-limited credentials signed with the daemon's own secret.
// It is immutable and safe for concurrent use.
type Minter struct{ secret []byte }

// NewMinter returns a Minter that signs with secret, which is copied. If secret is empty, every Mint fails, because
// anybody could sign with it.
func NewMinter(secret []byte) *Minter { return &Minter{secret: slices.Clone(secret)} }

// originLength is the number of base32 characters of an origin, which has 20 bits.
const originLength = 4

// MintFor is Mint for a credential that is issued to origin, for example a client address. All credentials of one
// origin have the same Identity.Origin. It does not reveal the origin.
func (m *Minter) MintFor(user, origin string, ttl time.Duration, now time.Time) (Credential, error) {
	mac := hmac.New(sha1.New, m.secret)
	mac.Write([]byte("origin " + origin))
	return m.mint(user, idEncoding.EncodeToString(mac.Sum(nil))[:originLength], ttl, now)
}

// Mint returns a new credential for user that expires ttl after now. The expiry is rounded down to a whole second. user
// may be any string, even an empty one. Mint fails if ttl is less than one second, or if the username would be longer
// than MaxUsername bytes. Any user of up to 161 bytes fits, and up to 483 bytes of letters and digits.
func (m *Minter) Mint(user string, ttl time.Duration, now time.Time) (Credential, error) {
	return m.mint(user, "", ttl, now)
}

func (m *Minter) mint(user, origin string, ttl time.Duration, now time.Time) (Credential, error) {
	if len(m.secret) == 0 {
		return Credential{}, errNoSecret
	}
	expiry := now.Add(ttl).Unix()
	if ttl < time.Second || expiry <= 0 || expiry >= maxExpiry {
		return Credential{}, errTTL
	}
	var random [8]byte
	rand.Read(random[:]) // never fails: crypto/rand
	id := idEncoding.EncodeToString(random[:]) + origin
	username := formatOwn(expiry, user, id)
	if len(username) > MaxUsername {
		return Credential{}, fmt.Errorf("mint credential: username of %d bytes, at most %d allowed", len(username), MaxUsername)
	}
	return Credential{
		ID:       id,
		Username: username,
		Password: sign(m.secret, username),
		Expires:  unixTime(expiry),
	}, nil
}

// sign returns the password of a time-limited username.
func sign(secret []byte, username string) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
